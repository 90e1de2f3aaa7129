//! A line against a slave on a pseudo-terminal and behind TCP.

mod step;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serial2::SerialPort;
use usp_mapping::mapping::{BusAddress, ModbusTable, Parity, SerialLine};
use usp_mapping::port::DeviceFault;

use super::ModbusRtu;
use super::frame::crc;
use crate::bus::{Medium, Outcome};
use crate::modbus::codec::{Answer, Ask, Query};
use crate::modbus::poll::Block;

const TIMEOUT: Duration = Duration::from_millis(400);

fn read(unit: u8, address: u16, count: u16) -> Ask {
    let block = Block::new(ModbusTable::Holding, address, count);
    asked(unit, Query::Read(block.into()))
}

fn asked(unit: u8, query: Query) -> Ask {
    Ask { unit, timeout: TIMEOUT, pause: Duration::ZERO, round: 0, query, mapped: None, until: None }
}

fn framed(body: &[u8]) -> Vec<u8> {
    [body, &crc(body).to_le_bytes()].concat()
}

fn known(unit: u8) -> Ask {
    asked(unit, Query::Read(Block::new(ModbusTable::Input, 0, 1).into()))
}

/// Unit, function and one register.
fn input(unit: u8, word: u8) -> Vec<u8> {
    framed(&[unit, 4, 2, 0, word])
}

fn is_timeout(outcome: &Outcome<Answer>) -> bool {
    matches!(outcome, Outcome::Silent(DeviceFault::Timeout(TIMEOUT)))
}

fn registers(unit: u8, words: &[u16]) -> Vec<u8> {
    let mut body = vec![unit, 3, 2 * words.len() as u8];
    body.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    body.extend(crc(&body).to_le_bytes());
    body
}

fn answer(outcome: Outcome<Answer>) -> Vec<u16> {
    match outcome {
        Outcome::Answered(Answer::Registers(words)) => words,
        other => panic!("{other:?}"),
    }
}

/// What is said, after each pause.
type Saying = Vec<(Duration, Vec<u8>)>;

/// The slave's side of a pseudo-terminal: what it says to each request, in turn, after each pause.
struct Slave {
    line: SerialLine,
    requests: mpsc::Receiver<(Instant, Vec<u8>)>,
    script: Option<mpsc::Sender<Saying>>,
    thread: Option<thread::JoinHandle<()>>,
    /// Whether the line brings back what is sent.
    echoes: Arc<AtomicBool>,
    /// Held, so that the terminal does not hang up between two openings.
    _terminal: SerialPort,
}

impl Slave {
    fn start(baud: u32) -> Self {
        let (mut ours, terminal) = SerialPort::pair().unwrap();
        let path = std::fs::read_link(format!("/proc/self/fd/{}", terminal.as_raw_fd())).unwrap();
        let port = path.to_str().unwrap().to_owned();
        let (script, orders) = mpsc::channel::<Saying>();
        let (seen, requests) = mpsc::channel();
        let echoes = Arc::new(AtomicBool::new(false));
        let echo = Arc::clone(&echoes);
        ours.set_read_timeout(Duration::from_secs(10)).unwrap();
        let thread = thread::spawn(move || {
            for order in orders {
                let mut request = [0; 8];
                if ours.read_exact(&mut request).is_err() {
                    return;
                }
                seen.send((Instant::now(), request.to_vec())).ok();
                if echo.load(Ordering::Relaxed) {
                    ours.write_all(&request).unwrap();
                }
                for (pause, bytes) in order {
                    think(pause);
                    ours.write_all(&bytes).unwrap();
                }
            }
        });
        let line = SerialLine { port, baud, parity: Parity::None, data_bits: 8, stop_bits: 1 };
        Self { line, requests, script: Some(script), thread: Some(thread), echoes, _terminal: terminal }
    }

    fn says(&self, answer: &[(u64, &[u8])]) {
        let order = answer.iter().map(|(pause, bytes)| (Duration::from_millis(*pause), bytes.to_vec()));
        self.script.as_ref().unwrap().send(order.collect()).unwrap();
    }

    /// Opened, and unit 1 is known to answer a read that can be told from all others here.
    async fn known(&self) -> ModbusRtu {
        let mut medium = self.opened().await;
        self.says(&[(0, &input(1, 0))]);
        assert_eq!(answer(medium.exchange(known(1)).await), [0]);
        medium
    }

    async fn opened(&self) -> ModbusRtu {
        let mut medium = ModbusRtu::serial(self.line.clone());
        medium.connect().await.unwrap();
        assert!(medium.is_up());
        medium
    }
}

#[expect(clippy::disallowed_methods, reason = "the slave takes its time")]
fn think(time: Duration) {
    thread::sleep(time);
}

impl Drop for Slave {
    fn drop(&mut self) {
        drop(self.script.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

#[tokio::test]
async fn requests_are_answered_however_the_bytes_come() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    let reply = registers(7, &[0x1234, 0x5678]);
    slave.says(&[(0, &reply)]);
    assert_eq!(answer(medium.exchange(read(7, 0x10, 2)).await), [0x1234, 0x5678]);
    assert_eq!(slave.requests.recv().unwrap().1, [7, 3, 0, 0x10, 0, 2, 0xc5, 0xa8]);
    let (head, tail) = reply.split_at(3);
    slave.says(&[(0, head), (20, tail)]);
    assert_eq!(answer(medium.exchange(read(7, 0x10, 2)).await), [0x1234, 0x5678]);
}

/// At 1200 bits a second t3.5 is 29 ms. It is counted from instants that cannot be later than the last byte, however busy
/// the machine: before the port is opened, and when the slave has a request that it answers only then.
#[tokio::test]
async fn the_silence_between_two_frames_is_kept() {
    let slave = Slave::start(1200);
    let mut last = Instant::now();
    let mut medium = slave.opened().await;
    let reply = registers(1, &[1]);
    slave.says(&[(0, &reply)]);
    slave.says(&[(0, &reply)]);
    for _ in 0..2 {
        assert_eq!(answer(medium.exchange(read(1, 0, 1)).await), [1]);
        let at = slave.requests.recv().unwrap().0;
        assert!(at - last >= Duration::from_micros(29_166), "{:?}", at - last);
        last = at;
    }
}

#[tokio::test]
async fn a_late_reply_answers_no_other_request() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    let (late, right) = (registers(1, &[0xdead]), registers(2, &[2]));
    slave.says(&[]);
    assert!(matches!(medium.exchange(read(1, 0, 1)).await, Outcome::Silent(DeviceFault::Timeout(TIMEOUT))));
    assert!(medium.is_up(), "the other units are still there");
    // Unit 1 says it while unit 2 is asked.
    slave.says(&[(0, &late), (20, &right)]);
    assert_eq!(answer(medium.exchange(read(2, 0, 1)).await), [2]);
    // Unit 1 is asked for something else, and answers that.
    let right = registers(1, &[3]);
    slave.says(&[(0, &right)]);
    assert_eq!(answer(medium.exchange(read(1, 5, 1)).await), [3]);
}

/// However late it is: the unit is brought back into step by a read whose answer is told from it.
#[tokio::test]
async fn a_reply_later_than_any_pause_answers_no_other_request() {
    let slave = Slave::start(115_200);
    let mut medium = slave.known().await;
    let (late, right) = (registers(1, &[0xdead]), registers(1, &[3]));
    slave.says(&[]);
    assert!(is_timeout(&medium.exchange(read(1, 0, 1)).await));
    // It comes when the next request is on its way.
    slave.says(&[(2 * TIMEOUT.as_millis() as u64, &late), (0, &input(1, 0))]);
    slave.says(&[(0, &input(1, 0))]);
    slave.says(&[(0, &right)]);
    let held = medium.exchange(read(1, 5, 1)).await;
    assert!(matches!(held, Outcome::Held(DeviceFault::Timeout(TIMEOUT))), "{held:?}");
    assert_eq!(answer(medium.exchange(read(1, 5, 1)).await), [3]);
}

#[tokio::test]
async fn a_unit_that_was_late_may_be_so_once_more() {
    let slave = Slave::start(115_200);
    let mut medium = slave.known().await;
    let (late, right) = (registers(1, &[0xdead]), registers(1, &[3]));
    slave.says(&[]);
    assert!(is_timeout(&medium.exchange(read(1, 0, 1)).await));
    slave.says(&[(20, &late), (20, &input(1, 0))]);
    slave.says(&[(0, &right)]);
    assert_eq!(answer(medium.exchange(read(1, 5, 1)).await), [3]);
}

/// As of a gateway that answers what it was asked last first.
#[tokio::test]
async fn a_late_reply_out_of_order_answers_no_other_request() {
    let slave = Slave::start(115_200);
    let mut medium = slave.known().await;
    let (late, right) = (registers(1, &[0xdead]), registers(1, &[3]));
    slave.says(&[]);
    assert!(is_timeout(&medium.exchange(read(1, 0, 1)).await));
    slave.says(&[(0, &input(1, 0))]);
    slave.says(&[(0, &late), (20, &right)]);
    slave.says(&[(0, &right)]);
    assert_eq!(answer(medium.exchange(read(1, 5, 1)).await), [3]);
}

#[tokio::test]
async fn a_late_reply_to_a_write_acknowledges_no_other() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    slave.says(&[(0, &registers(1, &[1]))]);
    assert_eq!(answer(medium.exchange(read(1, 0, 1)).await), [1]);
    let (one, two) = (framed(&[1, 6, 0, 7, 0, 1]), framed(&[1, 6, 0, 7, 0, 2]));
    slave.says(&[]);
    assert!(is_timeout(&medium.exchange(asked(1, Query::WriteRegister(7, 1))).await));
    slave.says(&[(0, &one), (20, &two)]);
    let written = medium.exchange(asked(1, Query::WriteRegister(7, 2))).await;
    assert!(matches!(written, Outcome::Answered(Answer::Written)), "{written:?}");
}

/// The glitch of a transceiver that turns round.
#[tokio::test]
async fn stray_bytes_before_a_reply_do_no_harm() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    for stray in [&[0][..], &[0xff, 0], &[1], &[1, 3, 2], &[1, 0xff, 0, 0, 0]] {
        slave.says(&[(0, &[stray, &registers(1, &[7])].concat())]);
        assert_eq!(answer(medium.exchange(read(1, 0, 1)).await), [7], "{stray:?}");
    }
    slave.says(&[(0, &[1, 0xff, 0, 0, 0]), (30, &registers(1, &[8]))]);
    assert_eq!(answer(medium.exchange(read(1, 0, 1)).await), [8]);
}

#[tokio::test]
async fn an_echo_is_no_acknowledgement() {
    let slave = Slave::start(115_200);
    slave.echoes.store(true, Ordering::Relaxed);
    let mut medium = slave.opened().await;
    let write = || asked(1, Query::WriteCoil(3, true));
    // Nobody is there: neither to the read that shows the echo nor to the write.
    for _ in 0..2 {
        slave.says(&[]);
    }
    let written = medium.exchange(write()).await;
    assert!(is_timeout(&written), "{written:?}");
}

#[tokio::test]
async fn behind_an_echo_a_reply_is_found() {
    let slave = Slave::start(115_200);
    slave.echoes.store(true, Ordering::Relaxed);
    let mut medium = slave.opened().await;
    let written = framed(&[1, 6, 0, 7, 0, 1]);
    slave.says(&[(0, &registers(1, &[7]))]);
    assert_eq!(answer(medium.exchange(read(1, 0, 1)).await), [7]);
    slave.says(&[(0, &written)]);
    let outcome = medium.exchange(asked(1, Query::WriteRegister(7, 1))).await;
    assert!(matches!(outcome, Outcome::Answered(Answer::Written)), "{outcome:?}");
    slave.says(&[]);
    let outcome = medium.exchange(asked(1, Query::WriteRegister(7, 2))).await;
    assert!(is_timeout(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn without_an_echo_one_acknowledgement_is_enough() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    let written = framed(&[1, 5, 0, 3, 0xff, 0]);
    // The first write is preceded by a read that shows whether there is an echo.
    slave.says(&[(0, &framed(&[1, 0x82, 1]))]);
    for _ in 0..2 {
        slave.says(&[(0, &written)]);
        let outcome = medium.exchange(asked(1, Query::WriteCoil(3, true))).await;
        assert!(matches!(outcome, Outcome::Answered(Answer::Written)), "{outcome:?}");
    }
}

#[tokio::test]
async fn two_units_may_be_late_at_once() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    let (late, right) = (registers(1, &[0xdead]), registers(1, &[3]));
    slave.says(&[]);
    medium.exchange(read(1, 0, 1)).await;
    // Unit 2 is damaged at once; unit 1 says its own only then.
    slave.says(&[(0, &[2, 0xff, 0, 0, 0]), (40, &late)]);
    medium.exchange(read(2, 0, 1)).await;
    slave.says(&[(0, &right)]);
    assert_eq!(answer(medium.exchange(read(1, 5, 1)).await), [3]);
}

#[tokio::test]
async fn duplicates_and_noise_are_dropped() {
    let slave = Slave::start(115_200);
    let mut medium = slave.known().await;
    let (first, second) = (registers(1, &[1]), registers(1, &[2]));
    slave.says(&[(0, &first.repeat(2))]);
    slave.says(&[(0, &second)]);
    assert_eq!(answer(medium.exchange(read(1, 0, 1)).await), [1]);
    assert_eq!(answer(medium.exchange(read(1, 1, 1)).await), [2]);
    slave.says(&[(0, &[0xff; 40])]);
    let noise = medium.exchange(read(1, 0, 1)).await;
    assert!(matches!(noise, Outcome::Silent(DeviceFault::Garbled(_))), "{noise:?}");
    slave.says(&[(0, &input(1, 0))]);
    slave.says(&[(0, &second)]);
    assert_eq!(answer(medium.exchange(read(1, 1, 1)).await), [2]);
}

/// Others are asked meanwhile: who waits is the scheduler.
#[tokio::test]
async fn a_unit_that_was_late_is_left_alone_for_a_while() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    slave.says(&[]);
    medium.exchange(read(1, 0, 1)).await;
    assert_eq!(medium.rest(), Some(TIMEOUT));
    slave.says(&[(0, &registers(2, &[2]))]);
    let begun = Instant::now();
    assert_eq!(answer(medium.exchange(read(2, 0, 1)).await), [2]);
    assert!(begun.elapsed() < TIMEOUT);
    assert_eq!(medium.rest(), None);
}

#[tokio::test]
async fn a_port_that_is_not_there_is_named() {
    let line = SerialLine {
        port: "/dev/none-such".to_owned(),
        baud: 9600,
        parity: Parity::Even,
        data_bits: 8,
        stop_bits: 1,
    };
    let error = ModbusRtu::serial(line).connect().await.unwrap_err();
    assert_eq!(error, "cannot open /dev/none-such: there is no such port; is the adapter plugged in?");
}

#[tokio::test]
async fn an_unplugged_port_is_opened_again() {
    let slave = Slave::start(115_200);
    let mut medium = slave.opened().await;
    drop(slave);
    let gone = medium.exchange(read(1, 0, 1)).await;
    assert!(matches!(gone, Outcome::Unsent(DeviceFault::Unreachable(_))), "{gone:?}");
    assert!(!medium.is_up());
    assert!(medium.connect().await.is_err());
}

#[tokio::test]
async fn frames_go_over_tcp_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        let mut request = [0; 8];
        first.read_exact(&mut request).unwrap();
        first.write_all(&registers(9, &[u16::from(request[3])])).unwrap();
        drop(first);
        let (mut second, _) = listener.accept().unwrap();
        // More than one, if a request was still handed over before the first connection's end was noticed.
        while second.read_exact(&mut request).is_ok() {
            second.write_all(&registers(9, &[u16::from(request[3])])).unwrap();
        }
    });
    let mut medium = ModbusRtu::tcp(BusAddress::Socket(address));
    medium.connect().await.unwrap();
    assert_eq!(answer(medium.exchange(read(9, 4, 1)).await), [4]);
    let closed = medium.exchange(read(9, 5, 1)).await;
    // Whether anything could still be handed over depends on when its end was noticed.
    let (Outcome::Silent(why) | Outcome::Unsent(why)) = &closed else { panic!("{closed:?}") };
    assert!(matches!(why, DeviceFault::Unreachable(_)), "{closed:?}");
    medium.connect().await.unwrap();
    assert_eq!(answer(medium.exchange(read(9, 6, 1)).await), [6]);
    drop(medium);
    server.join().unwrap();
}

/// Only a request that left may have been done.
#[tokio::test]
async fn a_connection_that_ends_after_a_request_leaves_open_whether_it_was_done() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut request = [0; 8];
        let (mut first, _) = listener.accept().unwrap();
        first.read_exact(&mut request).unwrap();
        request
    });
    let mut medium = ModbusRtu::tcp(BusAddress::Socket(address));
    let unsent = medium.exchange(read(9, 4, 1)).await;
    assert!(matches!(unsent, Outcome::Unsent(DeviceFault::Unreachable(_))), "{unsent:?}");
    medium.connect().await.unwrap();
    let lost = medium.exchange(read(9, 4, 1)).await;
    assert!(matches!(lost, Outcome::Silent(DeviceFault::Unreachable(_))), "{lost:?}");
    assert_eq!(server.join().unwrap()[..2], [9, 3]);
    let unsent = medium.exchange(read(9, 4, 1)).await;
    assert!(matches!(unsent, Outcome::Unsent(DeviceFault::Unreachable(_))), "{unsent:?}");
}

/// What is between a device server and its units may say a late reply to whoever is connected then.
#[tokio::test]
async fn over_tcp_a_late_reply_goes_with_its_connection_and_answers_nothing_after_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut request = [0; 8];
        let (mut first, _) = listener.accept().unwrap();
        first.read_exact(&mut request).unwrap();
        first.write_all(&input(9, 0)).unwrap();
        first.read_exact(&mut request).unwrap();
        let (mut second, _) = listener.accept().unwrap();
        second.read_exact(&mut request).unwrap();
        second.write_all(&registers(9, &[0xdead])).unwrap();
        second.write_all(&input(9, 0)).unwrap();
        second.read_exact(&mut request).unwrap();
        second.write_all(&registers(9, &[5])).unwrap();
    });
    let mut medium = ModbusRtu::tcp(BusAddress::Socket(address));
    medium.connect().await.unwrap();
    assert_eq!(answer(medium.exchange(known(9)).await), [0]);
    assert!(is_timeout(&medium.exchange(read(9, 4, 1)).await));
    assert!(!medium.is_up(), "after a time-out it is made anew");
    medium.connect().await.unwrap();
    assert_eq!(answer(medium.exchange(read(9, 5, 1)).await), [5]);
    server.join().unwrap();
}

/// As when the site file gives a line another speed: the old bus ends when its exchange does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_opened_anew_waits_for_who_had_it() {
    let slave = Slave::start(9600);
    let old = slave.opened().await;
    let faster = SerialLine { baud: 19_200, ..slave.line.clone() };
    let opening = tokio::spawn(async move {
        let mut medium = ModbusRtu::serial(faster);
        (medium.connect().await, medium.is_up())
    });
    tokio::task::yield_now().await;
    drop(old);
    assert_eq!(opening.await.unwrap(), (Ok(()), true));
}
