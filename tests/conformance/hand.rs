//! Steps of cases that have a hand in the MQTT server.

use std::time::{Duration, Instant};

use usp_proto::message;
use usp_proto::record::Record;
use usp_proto::usp::Get;
use usp_proto::usp::request::ReqType;
use usp_tests::wait::PATIENCE;

use crate::bench::{AGENT, SECOND};
use crate::fault::Fault;
use crate::pace::Pace;
use crate::pattern;
use crate::stage::Stage;

impl Stage<'_> {
    /// The next packet from the Agent.
    pub(crate) fn hears(&mut self, expected: &str, within: Option<(f64, f64)>) -> Result<(), String> {
        let mut fault = self.take_fault();
        let patience = match within {
            _ if fault.is_some() => self.patience,
            Some(within) => Pace::patience(within),
            None => PATIENCE,
        };
        let heard = self.heard(Instant::now() + patience, &mut fault);
        let late = fault.as_mut().map_or(0.0, Fault::late);
        self.fault = fault;
        let waited = || format!("waited in vain for: {expected}");
        let (at, line) = heard?.ok_or_else(waited)?;
        self.vars = pattern::one(expected, &line, &self.vars)
            .ok_or_else(|| format!("heard: {line}\n    instead of: {expected}"))?;
        self.pace.came(at, late, within).map_err(|why| format!("{line}: {why}"))
    }

    /// No packet for so long.
    pub(crate) fn still(&mut self, long: Duration) -> Result<(), String> {
        let mut fault = self.take_fault();
        let invented = fault.as_mut().and_then(Fault::invented).map(|line| (Instant::now(), line));
        let heard = self.heard(Instant::now() + long, &mut fault)?.or(invented);
        self.fault = fault;
        heard.map_or(Ok(()), |(_, line)| Err(format!("heard where nothing is to be: {line}")))
    }

    fn heard(
        &mut self,
        until: Instant,
        fault: &mut Option<Fault>,
    ) -> Result<Option<(Instant, String)>, String> {
        let server = self.bench.scripted()?;
        while let Some((at, line)) = server.hear(until) {
            let told = match fault {
                Some(fault) => fault.told(vec![line]).into_iter().next(),
                None => Some(line),
            };
            if let Some(line) = told {
                return Ok(Some((at, line)));
            }
        }
        Ok(None)
    }

    /// A Get of the second Controller, which is reached through the server.
    pub(crate) fn deliver(&mut self, qos: u8, reply: &str, kind: &str, path: &str) -> Result<(), String> {
        let get = Get { param_paths: vec![path.to_owned()], max_depth: 0 };
        let msg = message::request("delivered", ReqType::Get(get));
        let record = Record::message(SECOND.parse().unwrap(), AGENT.parse().unwrap(), msg).encode();
        self.pace.acted(Instant::now());
        self.bench.scripted()?.deliver(qos, reply, kind, record)
    }
}
