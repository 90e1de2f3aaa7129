//! A fault is part of an answer: a code and a text for the Controller. The one place where other errors become codes.

use usp_mapping::port::DeviceFault;
use usp_proto::err_code::ErrCode;
use usp_proto::path::PathError;

/// Why a request, or one part of it, failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// 7000–7999.
    pub code: ErrCode,
    /// For people; names the thing.
    pub text: String,
}

/// Bytes of a text that somebody else has written: a fault may be told of each entry of a request.
const MOST_TEXT: usize = 1024;

/// A text of somebody else, or its beginning.
pub(crate) fn shortened(mut text: String) -> String {
    let end = (0..=MOST_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

impl Fault {
    /// A fault with a text.
    pub fn new(code: ErrCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The same, with what it is about in front, unless it says so already.
    #[must_use]
    pub fn about(self, what: impl std::fmt::Display) -> Self {
        let what = what.to_string();
        if self.text.starts_with(&what) {
            return self;
        }
        Self { code: self.code, text: format!("{what}: {}", self.text) }
    }

    /// The same of something that was asked for, and that may be done all the same.
    #[must_use]
    pub fn unsettled(self) -> Self {
        Self { text: format!("{}; whether it was done is not known", self.text), ..self }
    }

    /// The same with a text that may be told many times.
    #[must_use]
    pub(crate) fn shortened(self) -> Self {
        Self { code: self.code, text: shortened(self.text) }
    }

    /// 7026.
    pub fn unsupported(path: impl std::fmt::Display) -> Self {
        Self::new(ErrCode::INVALID_PATH, format!("{path} is not in the supported data model"))
    }

    /// 7006.
    pub fn denied(what: impl std::fmt::Display) -> Self {
        Self::new(ErrCode::PERMISSION_DENIED, format!("no permission for {what}"))
    }

    /// What a device's fault is when a Parameter of it was to be read. For a device that gives no value the standard has no
    /// code that a Get may answer with but 7003.
    pub fn from_device_read(device: &str, fault: &DeviceFault) -> Self {
        Self::from_device(device, fault, ErrCode::INTERNAL_ERROR)
    }

    /// The same of one that was to be written: 7009, because neither the value nor the broker is to blame.
    pub fn from_device_write(device: &str, fault: &DeviceFault) -> Self {
        let failed = Self::from_device(device, fault, ErrCode::PARAMETER_ACTION_FAILED);
        if is_unsettled(fault) { failed.unsettled() } else { failed }
    }

    /// A device is offline, so that nothing of it was written.
    pub fn offline_write(why: String) -> Self {
        Self::new(ErrCode::PARAMETER_ACTION_FAILED, why)
    }

    fn from_device(device: &str, fault: &DeviceFault, otherwise: ErrCode) -> Self {
        let code = match fault {
            DeviceFault::QueueFull => ErrCode::RESOURCES_EXCEEDED,
            DeviceFault::Unwritable(_) => ErrCode::INVALID_VALUE,
            DeviceFault::Refused(_) | DeviceFault::Busy(_) => ErrCode::REQUEST_DENIED,
            DeviceFault::HalfDone { .. }
            | DeviceFault::Unsettled(_)
            | DeviceFault::Timeout(_)
            | DeviceFault::Unreachable(_)
            | DeviceFault::Garbled(_)
            | DeviceFault::Invalid(_)
            | DeviceFault::NotConfirmed { .. }
            | DeviceFault::Expired
            | DeviceFault::NotTried
            | DeviceFault::Unknown
            | DeviceFault::Stopping => otherwise,
        };
        Self::new(code, format!("device {device}: {fault}"))
    }

    /// What a device's fault is when a Command of it was to run.
    pub fn from_device_command(device: &str, fault: &DeviceFault) -> Self {
        let failed = Self::from_device_question(device, fault);
        if is_unsettled(fault) { failed.unsettled() } else { failed }
    }

    /// The same when all that was done for the Command was to ask the device for what it has.
    pub fn from_device_question(device: &str, fault: &DeviceFault) -> Self {
        match fault {
            DeviceFault::QueueFull => Self::from_device(device, fault, ErrCode::COMMAND_FAILURE),
            _ => Self::new(ErrCode::COMMAND_FAILURE, format!("device {device}: {fault}")),
        }
    }
}

/// Whether nobody knows if what a device was to do was done. What was not sent says so by itself.
fn is_unsettled(fault: &DeviceFault) -> bool {
    match fault {
        DeviceFault::HalfDone { fault, .. } => is_unsettled(fault),
        DeviceFault::Timeout(_)
        | DeviceFault::Garbled(_)
        | DeviceFault::Unsettled(_)
        | DeviceFault::Stopping => true,
        _ => false,
    }
}

impl From<PathError> for Fault {
    fn from(error: PathError) -> Self {
        Self::new(ErrCode::INVALID_PATH_SYNTAX, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_command_that_failed_is_told() {
        let cut = DeviceFault::Unreachable("cable cut; this was not sent".to_owned());
        let lost = DeviceFault::Unsettled("cable cut".to_owned());
        let half = DeviceFault::HalfDone { step: 2, of: 3, fault: Box::new(lost) };
        let garbled = DeviceFault::Garbled("short".to_owned());
        for (fault, told) in [
            (&cut, "device a: unreachable: cable cut; this was not sent"),
            (&half, "device a: step 2 of 3: cable cut; step 1 was done; whether it was done is not known"),
            (&garbled, "device a: unusable answer: short; whether it was done is not known"),
            (
                &DeviceFault::NotTried,
                "device a: not sent, because an earlier write of the same request failed",
            ),
        ] {
            assert_eq!(Fault::from_device_command("a", fault).text, told);
        }
        assert_eq!(Fault::from_device_question("a", &garbled).text, "device a: unusable answer: short");
    }
}
