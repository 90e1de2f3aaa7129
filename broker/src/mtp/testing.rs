//! A driver for tests of transports: takes events, holds no core.

use std::time::Duration;

use tokio::sync::mpsc;
use usp_core::input::{ConnId, Input, Link};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::record::{Connect, Record};
use usp_proto::usp::{Header, Msg};

use super::outbox::Outbox;
use super::{Event, Gateway};
use crate::config::EdgeLimits;
use std::sync::Arc;

/// Longer than anything that works takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Bench {
    pub(crate) gateway: Gateway,
    pub(crate) events: mpsc::Receiver<Event>,
}

pub(crate) fn id(text: &str) -> EndpointId {
    EndpointId::parse(text).unwrap()
}

/// A small Record from `peer` to the broker.
pub(crate) fn hello(peer: &str) -> Record {
    Record::connect(id(peer), id("proto::broker"), Connect::Uds)
}

/// A Record of about `size` bytes.
pub(crate) fn long(size: usize) -> Record {
    let header = Header { msg_id: "x".repeat(size), ..Header::default() };
    let body = usp_proto::usp::Body { msg_body: None };
    Record::message(id("proto::broker"), id("proto::peer"), Msg { header: Some(header), body: Some(body) })
}

impl Bench {
    pub(crate) fn new(limits: EdgeLimits) -> Self {
        let (gateway, events) = Gateway::new(id("proto::broker"), limits);
        Self { gateway, events }
    }

    pub(crate) async fn event(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event").expect("a gateway")
    }

    pub(crate) async fn up(&mut self) -> (ConnId, Link, Arc<Outbox>) {
        match self.event().await {
            Event::Up { conn, link, outbox } => (conn, link, outbox),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn record(&mut self) -> Record {
        match self.event().await {
            Event::Input(Input::Record { record, .. }) => *record,
            other => panic!("{other:?}"),
        }
    }

    /// Why the connection ended.
    pub(crate) async fn down(&mut self, expected: ConnId) -> String {
        match self.event().await {
            Event::Input(Input::Disconnected { conn, reason }) if conn == expected => reason,
            other => panic!("{other:?}"),
        }
    }
}
