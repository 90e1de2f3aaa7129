//! What tests of MQTT clients share.

use usp_core::mqtt::port::{MqttSettings, MqttVersion};

/// Settings for a server on loopback, with retries at once.
pub(crate) fn settings(port: u16) -> MqttSettings {
    MqttSettings {
        name: "main".to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        version: MqttVersion::V5,
        client_id: "hub1".to_owned(),
        username: String::new(),
        password: String::new(),
        clean: true,
        session_expiry: 0,
        keep_alive: 60,
        receive_maximum: None,
        request_response_information: true,
        request_problem_information: true,
        endpoint_id: "proto::broker".to_owned(),
        retry_time: 0,
        retry_multiplier: 2000,
        retry_most: 30,
    }
}
