//! Requests as peers make them, good and bad.

use super::*;

/// Asks a server whose driver has two connections.
async fn ask(request: &[u8]) -> String {
    let server = Server::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let (driver, mut orders) = mpsc::channel(1);
    tokio::spawn(server.serve(driver, stop.clone()));
    tokio::spawn(async move {
        while let Some(Order::Numbers(answer)) = orders.recv().await {
            answer.send(Numbers { connections: 2, ..Numbers::default() }).ok();
        }
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    stop.cancel();
    response
}

#[tokio::test]
async fn the_page_is_served() {
    let response = ask(b"GET /metrics HTTP/1.1\r\nHost: localhost:9464\r\n\r\n").await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(OPEN_METRICS), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(body.contains("\nusp_broker_connections 2\n") && body.ends_with("# EOF\n"), "{body}");
    let response = ask(b"HEAD /metrics?x=1 HTTP/1.1\r\nHost: [::1]:9464\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\n"), "{response}");
}

#[tokio::test]
async fn anything_else_is_a_line() {
    let long = [b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &[b'x'; HEAD]].concat();
    for (request, status) in [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".as_slice(), "404"),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
        (b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"),
        (b"GET /metrics\r\n\r\n", "400"),
        (b"\xff\xfe\r\n\r\n", "400"),
        (&long, "431"),
    ] {
        let response = ask(request).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert!(response.len() < 300, "{response}");
    }
}
