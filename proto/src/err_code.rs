//! Error codes: of Error Messages, of single failures inside responses, of Disconnect Records (TR-369 "Error Codes").

use std::fmt;

/// One error code. Any number can arrive; the ones that the standard names are constants here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrCode(pub u32);

macro_rules! err_codes {
    ($($constant:ident = $code:literal, $name:literal, $meaning:literal;)*) => {
        impl ErrCode {
            $(#[doc = concat!("`", stringify!($code), "` ", $name, ": ", $meaning, ".")]
            pub const $constant: Self = Self($code);)*

            /// Every code that the standard names, ascending.
            pub const ALL: &'static [Self] = &[$(Self($code)),*];

            fn standard_name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

err_codes! {
    MESSAGE_FAILED = 7000, "Message failed", "general failure, see err_msg";
    MESSAGE_NOT_SUPPORTED = 7001, "Message not supported", "message type not understood";
    REQUEST_DENIED = 7002, "Request denied", "refused without a stated reason";
    INTERNAL_ERROR = 7003, "Internal error", "hardware or software fault";
    INVALID_ARGUMENTS = 7004, "Invalid arguments", "bad values in the message";
    RESOURCES_EXCEEDED = 7005, "Resources exceeded", "memory or processing limits";
    PERMISSION_DENIED = 7006, "Permission denied", "sender lacks authorisation";
    INVALID_CONFIGURATION = 7007, "Invalid configuration", "would leave the endpoint invalid or unrecoverable";
    INVALID_PATH_SYNTAX = 7008, "Invalid path syntax", "path not parseable";
    PARAMETER_ACTION_FAILED = 7009, "Parameter action failed", "general parameter failure";
    UNSUPPORTED_PARAMETER = 7010, "Unsupported parameter", "no such instantiated parameter";
    INVALID_TYPE = 7011, "Invalid type", "string cannot be read as the type";
    INVALID_VALUE = 7012, "Invalid value", "outside acceptable values";
    NON_WRITEABLE_PARAMETER = 7013, "Non-writeable parameter", "parameter is read-only";
    VALUE_CONFLICT = 7014, "Value conflict", "inconsistent with other parameters";
    OPERATION_ERROR = 7015, "Operation error", "general create/update/delete failure";
    OBJECT_DOES_NOT_EXIST = 7016, "Object does not exist", "path not instantiated";
    OBJECT_COULD_NOT_BE_CREATED = 7017, "Object could not be created", "creation failed";
    OBJECT_IS_NOT_A_TABLE = 7018, "Object is not a table", "not multi-instance";
    NON_CREATABLE_OBJECT = 7019, "Non-creatable object", "table cannot be added to";
    OBJECT_COULD_NOT_BE_UPDATED = 7020, "Object could not be updated", "object update failed";
    REQUIRED_PARAMETER_FAILED = 7021, "Required parameter failed", "object failed due to required parameter(s)";
    COMMAND_FAILURE = 7022, "Command failure", "command did not complete";
    COMMAND_CANCELED = 7023, "Command canceled", "stopped through Cancel()";
    DELETE_FAILURE = 7024, "Delete failure", "instance not deleted";
    DUPLICATE_KEY = 7025, "Duplicate key", "unique key already taken";
    INVALID_PATH = 7026, "Invalid path", "not in the supported data model";
    INVALID_COMMAND_ARGUMENTS = 7027, "Invalid command arguments", "invalid or missing arguments";
    REGISTER_FAILURE = 7028, "Register failure", "path not registered";
    ALREADY_IN_USE = 7029, "Already in use", "registered by another Agent";
    DEREGISTER_FAILURE = 7030, "Deregister failure", "path not deregistered";
    PATH_ALREADY_REGISTERED = 7031, "Path already registered", "belongs to another Agent";
    RECORD_COULD_NOT_BE_PARSED = 7100, "Record could not be parsed", "its bytes are no Record";
    SECURE_SESSION_REQUIRED = 7101, "Secure session required", "USP-level security is demanded";
    SECURE_SESSION_NOT_SUPPORTED = 7102, "Secure session not supported", "the sender asked for one";
    SEGMENTATION_NOT_SUPPORTED = 7103, "Segmentation not supported", "the Record is a part of a Message";
    INVALID_RECORD_VALUE = 7104, "Invalid Record value", "a field of the Record is wrong";
    SESSION_CONTEXT_TERMINATED = 7105, "Session Context terminated", "the sender ends it";
    SESSION_CONTEXT_NOT_ALLOWED = 7106, "Session Context not allowed", "not allowed or unsupported";
    UNKNOWN_EXECUTION_ENVIRONMENT = 7223, "Unknown execution environment", "a software module names one that is not there";
    DEPLOYMENT_MISMATCH = 7225, "Deployment unit to execution environment mismatch", "they do not fit each other";
    DUPLICATE_DEPLOYMENT_UNIT = 7226, "Duplicate deployment unit", "it is installed already";
    SYSTEM_RESOURCES_EXCEEDED = 7227, "System resources exceeded", "no room for the software module";
    INVALID_DEPLOYMENT_UNIT_STATE = 7229, "Invalid deployment unit state", "the change is not possible in its state";
    INVALID_EXECUTION_ENVIRONMENT_STATE = 7230, "Invalid execution environment state", "the change is not possible in its state";
}

impl ErrCode {
    /// The name that the standard gives the code, as in `Invalid path`; of a code without one, the name of its range.
    pub fn name(self) -> &'static str {
        match (self.standard_name(), self.0) {
            (Some(name), _) => name,
            (None, 7200..=7299) => "Data model error",
            (None, 7800..=7999) => "Vendor error",
            (None, _) => "Unknown error",
        }
    }

    /// Whether vendors define the code: 7800 to 7999.
    pub fn is_vendor(self) -> bool {
        (7800..=7999).contains(&self.0)
    }
}

impl fmt::Display for ErrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.name())
    }
}

impl From<ErrCode> for u32 {
    fn from(code: ErrCode) -> Self {
        code.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_show_number_and_name() {
        assert_eq!(ErrCode::INVALID_PATH.to_string(), "7026 Invalid path");
        assert_eq!(ErrCode(7801).to_string(), "7801 Vendor error");
        assert_eq!(ErrCode(7250).name(), "Data model error");
        assert_eq!(ErrCode(1).name(), "Unknown error");
    }

    #[test]
    fn the_ranges_are_complete() {
        let named = |range: std::ops::RangeInclusive<u32>| {
            range.filter(|c| ErrCode(*c).standard_name().is_some()).count()
        };
        assert_eq!(named(7000..=7031), 32);
        assert_eq!(named(7100..=7106), 7);
        assert!(ErrCode::ALL.is_sorted());
        assert!(ErrCode(7800).is_vendor() && ErrCode(7999).is_vendor());
        assert!(!ErrCode(7799).is_vendor() && !ErrCode(8000).is_vendor());
    }
}
