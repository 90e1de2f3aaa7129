//! The Controller's side of MQTT (R-MQTT.*): one topic of the Agent's, one of our own for its answers.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use usp_core::mqtt::port::{MqttFilter, MqttSettings, MqttVersion};
use usp_proto::endpoint_id::EndpointId;

use super::error::ConnectError;
use super::{MAX_RECORD_BYTES, MqttUrl, Via, random_text};
use crate::mqtt::{self, Arrival, Bounds, Broken, Handle, Publication, Wire};

/// Records that wait for their reader.
const WAITING: usize = 64;

/// Seconds between pings.
const KEEP_ALIVE: u16 = 60;

/// How long DISCONNECT may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection to an Agent through an MQTT server.
pub(super) struct MqttLink {
    handle: Handle,
    incoming: mpsc::Receiver<Result<Vec<u8>, String>>,
    failures: mpsc::Sender<Result<Vec<u8>, String>>,
    /// Makes the connection progress.
    driver: JoinHandle<()>,
    topic: String,
    reply: String,
    qos: u8,
}

/// Connects to the server and subscribes to the topic for answers.
pub(super) async fn connect(
    url: &MqttUrl,
    own: &EndpointId,
    within: Duration,
) -> Result<MqttLink, ConnectError> {
    let failed = |reason: String| ConnectError::Mqtt { via: Via::Mqtt(Box::new(url.clone())), reason };
    let settings = settings(url, own).map_err(failed)?;
    let bounds = Bounds { record: MAX_RECORD_BYTES, connect: within };
    let (handle, mut wire) = mqtt::open(&settings, bounds).map_err(|broken| failed(broken.reason))?;
    let maximum_qos = accept(&mut wire).await.map_err(|broken| failed(broken.reason))?;
    let (failures, incoming) = mpsc::channel(WAITING);
    let link = MqttLink {
        handle,
        incoming,
        driver: tokio::spawn(drive(wire, failures.clone())),
        failures,
        topic: url.topic.clone(),
        reply: url.reply.clone().unwrap_or_else(|| format!("usp/controller/{own}")),
        qos: url.qos.min(maximum_qos),
    };
    link.subscribe(url.version).await.map_err(failed)?;
    Ok(link)
}

fn settings(url: &MqttUrl, own: &EndpointId) -> Result<MqttSettings, String> {
    Ok(MqttSettings {
        name: "command line".to_owned(),
        host: url.host.clone(),
        port: url.port,
        version: url.version,
        client_id: client_id(url.version, own),
        username: url.username.clone(),
        password: url.password.as_ref().map(|place| place.read()).transpose()?.unwrap_or_default(),
        clean: true,
        session_expiry: 0,
        keep_alive: KEEP_ALIVE,
        receive_maximum: None,
        request_response_information: false,
        request_problem_information: true,
        endpoint_id: own.to_string(),
        retry_time: 0,
        retry_multiplier: 1000,
        retry_most: 0,
    })
}

/// Two commands at a time may act as the same Controller, and a server keeps only one client of each identifier: 5.0 has
/// the server choose, in 3.1.1 ours is an Endpoint ID and something random.
fn client_id(version: MqttVersion, own: &EndpointId) -> String {
    match version {
        MqttVersion::V5 => String::new(),
        MqttVersion::V311 => format!("{own}-{}", random_text()),
    }
}

/// Waits for CONNACK, and gives the highest Quality of Service that the server takes.
async fn accept(wire: &mut Wire) -> Result<u8, Broken> {
    loop {
        if let Arrival::Accepted(accepted) = wire.next().await? {
            return Ok(accepted.up.maximum_qos);
        }
    }
}

/// Passes on what comes, until the connection ends or nobody wants it any more.
async fn drive(mut wire: Wire, to: mpsc::Sender<Result<Vec<u8>, String>>) {
    loop {
        let event = match wire.next().await {
            Ok(Arrival::Message(message)) if message.may_be_record() => Ok(message.payload.to_vec()),
            Ok(_) => continue,
            Err(broken) => Err(broken.reason),
        };
        let over = event.is_err();
        if to.send(event).await.is_err() || over {
            return;
        }
    }
}

impl MqttLink {
    /// In 3.1.1 answers come with the Agent's own topic behind ours (R-MQTT.24).
    async fn subscribe(&self, version: MqttVersion) -> Result<(), String> {
        let topic = match version {
            MqttVersion::V5 => self.reply.clone(),
            MqttVersion::V311 => format!("{}/#", self.reply),
        };
        let filter = MqttFilter { topic, qos: self.qos, vital: true };
        let answers = self.handle.subscribe(std::slice::from_ref(&filter)).await?;
        match answers.into_iter().next() {
            Some(None) => Ok(()),
            Some(Some(why)) => Err(format!(
                "the server refuses our subscription to `{}`: {why}; reply=TOPIC names another topic",
                filter.topic
            )),
            None => Err("the server's answer to SUBSCRIBE is empty".to_owned()),
        }
    }

    /// Publishes one Record. That it reached nobody is told by [`receive`](Self::receive).
    pub(super) async fn send(&mut self, record: Vec<u8>) -> Result<(), String> {
        let publication =
            Publication { topic: &self.topic, reply_to: Some(&self.reply), qos: self.qos, payload: record };
        let sent = self.handle.publish(publication).await?;
        let (failures, topic) = (self.failures.clone(), self.topic.clone());
        tokio::spawn(async move {
            if let Err(why) = sent.await {
                // The link may be gone, and its end has been told then.
                failures
                    .send(Err(format!("what we published to `{topic}` reached nobody: {why}")))
                    .await
                    .ok();
            }
        });
        Ok(())
    }

    /// The next Record. Cancelling it loses nothing. The error is the reason why there is none any more.
    pub(super) async fn receive(&mut self) -> Result<Vec<u8>, String> {
        self.incoming.recv().await.unwrap_or_else(|| Err("the connection is over".to_owned()))
    }

    /// Says goodbye to the server; nothing more is received.
    pub(super) async fn close(&mut self) {
        self.incoming.close();
        self.handle.disconnect();
        tokio::time::timeout(GOODBYE, &mut self.driver).await.ok();
    }
}

impl Drop for MqttLink {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

#[cfg(test)]
mod tests;
