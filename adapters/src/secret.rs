//! Reads a secret where it is kept, when it is needed.

use std::fmt;
use std::io::ErrorKind;

use tokio::io::AsyncReadExt;
use usp_mapping::mapping::SecretRef;

/// Longer ones are none.
const LONGEST: u64 = 4096;

/// A secret. It is shown nowhere.
pub(crate) struct Secret(pub(crate) Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads a secret: without one line end at its end.
///
/// Errors: it is not there, empty or too long; the text names where it is looked for and shows nothing of it.
pub(crate) async fn read(place: &SecretRef) -> Result<Secret, String> {
    let mut bytes = match place {
        SecretRef::Env(name) => {
            let value =
                std::env::var_os(name).ok_or_else(|| format!("there is no variable {name} ({place})"))?;
            value.into_encoded_bytes()
        }
        SecretRef::File(path) => {
            file(path).await.map_err(|kind| format!("{place} cannot be read: {}", words(kind)))?
        }
    };
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    match bytes.len() as u64 {
        0 => Err(format!("{place} is empty")),
        1..=LONGEST => Ok(Secret(bytes)),
        _ => Err(format!("{place} is longer than {LONGEST} bytes")),
    }
}

async fn file(path: &str) -> Result<Vec<u8>, ErrorKind> {
    let file = tokio::fs::File::open(path).await.map_err(|error| error.kind())?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 3).read_to_end(&mut bytes).await.map_err(|error| error.kind())?;
    Ok(bytes)
}

fn words(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "this program may not open it".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> SecretRef {
        SecretRef::File(path.to_owned())
    }

    #[tokio::test]
    async fn a_file_is_read_without_its_line_end() {
        let path = std::env::temp_dir().join(format!("usp-secret-{}", std::process::id()));
        let place = at(path.to_str().unwrap());
        for (content, secret) in
            [("geheim\n", Some("geheim")), ("a\r\n", Some("a")), (" b ", Some(" b ")), ("\n", None)]
        {
            std::fs::write(&path, content).unwrap();
            let read = read(&place).await;
            assert_eq!(read.as_ref().ok().map(|it| it.0.as_slice()), secret.map(str::as_bytes));
            assert!(!format!("{read:?}").contains("geheim"));
        }
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(read(&place).await.unwrap_err().contains("longer"));
        std::fs::remove_file(&path).unwrap();
        assert!(read(&place).await.unwrap_err().contains("cannot be read: there is no such file"));
    }

    #[tokio::test]
    async fn a_variable_that_is_not_there_is_named() {
        let place = SecretRef::Env("USP_NOT_SET_ANYWHERE".to_owned());
        assert!(read(&place).await.unwrap_err().contains("USP_NOT_SET_ANYWHERE"));
    }
}
