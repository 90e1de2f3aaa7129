//! Requests that come before their client is subscribed: a kept session delivers at once what waited for it.
//!
//! They are taken up once Records may pass (R-MQTT.17), as many as one peer may have under way and within so many bytes.
//! Whoever sent more is told so then, since nothing at this side can keep a server from delivering.

use std::sync::Arc;

use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::record::{BadRecord, Record};

use crate::Broker;

/// Bytes of Messages that wait for one client.
const MAX_BYTES: usize = 1 << 20;
/// What a short Message costs in memory.
const OVERHEAD: usize = 256;
/// Requests beyond that of which it is remembered to whom they are refused.
const MAX_REFUSED: usize = 4096;

/// A Record that came before its client was subscribed, and where its answer is wanted.
type Early = (Record, Option<Arc<str>>);

/// Those of one client.
#[derive(Debug, Default)]
pub(crate) struct EarlyRecords {
    kept: Vec<Early>,
    bytes: usize,
    refused: Vec<(BadRecord, Option<Arc<str>>)>,
    lost: usize,
}

impl EarlyRecords {
    /// One more; `most` may be kept.
    fn put(&mut self, record: Record, reply_to: Option<Arc<str>>, most: usize) {
        let size = record.msg().map_or(0, |msg| message::encode(msg).len()) + OVERHEAD;
        if self.kept.len() < most && self.bytes + size <= MAX_BYTES {
            self.bytes += size;
            self.kept.push((record, reply_to));
            return;
        }
        match refusal(&record, most).filter(|_| self.refused.len() < MAX_REFUSED) {
            Some(refusal) => self.refused.push((refusal, reply_to)),
            None => self.lost += 1,
        }
    }
}

/// What the sender of a request is told.
fn refusal(record: &Record, most: usize) -> Option<BadRecord> {
    let msg = record.msg().filter(|msg| message::is_request(msg))?;
    let text = format!(
        "more waited at the MQTT server than is taken up at a time: {most} requests \
         (limits.max_pending_per_controller), {MAX_BYTES} bytes"
    );
    Some(BadRecord {
        from: record.from.clone(),
        to: record.to.clone(),
        msg_id: message::msg_id(msg).to_owned(),
        code: ErrCode::RESOURCES_EXCEEDED,
        text,
    })
}

impl Broker {
    /// A Record came although its client is not subscribed yet.
    pub(super) fn keep_early(&mut self, client: u32, record: Record, reply_to: Option<Arc<str>>) {
        let most = self.config.limits.max_pending_per_controller;
        self.peers.early.entry(client).or_default().put(record, reply_to, most);
    }

    /// The client is subscribed.
    pub(super) fn take_early(&mut self, client: u32) {
        let Some(early) = self.peers.early.remove(&client) else { return };
        if !early.refused.is_empty() || early.lost > 0 {
            let (refused, lost) = (early.refused.len(), early.lost);
            tracing::warn!(
                client,
                refused,
                lost,
                "more waited at the MQTT server than is taken up at a time"
            );
        }
        for (record, reply_to) in early.kept {
            self.take_record(client, record, reply_to);
        }
        for (refusal, reply_to) in early.refused {
            self.mqtt_bad_record(client, &refusal, reply_to.as_deref().map(str::to_owned));
        }
    }
}
