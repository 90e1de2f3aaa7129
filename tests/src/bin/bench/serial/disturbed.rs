//! What a serial line of five slaves loses by one that is silent, and how long a write waits between polls.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout_at;
use usp_adapters::FromAdapter;
use usp_adapters::explain::{self, Way};
use usp_mapping::port::{Action, AdapterCall, AdapterReply, AdapterReport, CallId, DeviceId, PointId};
use usp_mapping::value::Value;
use usp_simulators::mischief::Fault;
use usp_simulators::modbus::ModbusLine;

use super::{Case, DELAY, Running, foretold, is_read, start};
use crate::table;

/// Points of each slave.
const POINTS: u16 = 20;

/// How long a line is polled that nothing disturbs.
const CALM: Duration = Duration::from_secs(6);

/// How long a slave may take to answer.
const TIMEOUT: Duration = Duration::from_millis(250);

/// Searches for the silent slave that are measured.
const PROBES: usize = 4;

/// Writes that are measured.
const WRITES: u16 = 60;

/// Prints both tables.
pub(super) async fn measure() {
    silent_one().await;
    writes().await;
}

/// Scattered points that are read all the time and can be written, on a device that is looked for each second.
fn case(slaves: u8) -> Case {
    let head = format!(
        "uspmap: 1\nprofile: bench.line\nversion: 1.0.0\ndevice: {{type: Meter}}\n\
         modbus: {{max_gap: 0, timeout: {}ms}}\nonline: {{backoff: [1s, 1s]}}\npoll: {{all: 1ms}}\ncapabilities:\n",
        TIMEOUT.as_millis()
    );
    let point = |id| {
        let at = id * 50;
        let kind = "class: LevelControl, type: Temperature, unit: degC, min: 0, max: 1000, step: 1";
        format!("  r{id}: {{{kind}, read: {{holding: {at}}}, write: {{verify: false}}}}\n")
    };
    let mapping = (0..POINTS).map(point).fold(head, |text, line| text + &line);
    Case { name: "", baud: 9600, parity: "even", slaves, mapping }
}

/// When each slave was read.
#[derive(Default)]
struct Seen {
    reads: BTreeMap<DeviceId, u32>,
    began: Option<Instant>,
    last: Option<Instant>,
    /// Times without any reading, longer than a slave may take.
    gaps: Vec<Duration>,
}

impl Seen {
    /// Everything counts from now.
    fn from_now() -> Self {
        let now = Some(Instant::now());
        Self { began: now, last: now, ..Self::default() }
    }

    fn read(&mut self, report: &FromAdapter) {
        let FromAdapter::Report(AdapterReport::Readings { device, .. }) = report else { return };
        let now = Instant::now();
        let gap = self.last.map_or(Duration::ZERO, |last| now - last);
        if gap > TIMEOUT {
            self.gaps.push(gap);
        }
        self.last = Some(now);
        *self.reads.entry(device.clone()).or_default() += 1;
    }

    fn took(&self) -> f64 {
        self.last.zip(self.began).map_or(0.0, |(last, began)| (last - began).as_secs_f64())
    }

    /// How long the slowest slave took to be read whole, in seconds.
    fn cycle(&self) -> f64 {
        let least = self.reads.values().min().copied().unwrap_or(0);
        self.took() * f64::from(POINTS) / f64::from(least)
    }
}

async fn silent_one() {
    let mut rows = vec![
        ["slaves", "their cycle", "to four alone", "target", "searches", "share of the silent one", "target"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let [four, five] = [calm(4).await, calm(5).await];
    let (disturbed, read_takes) = disturbed().await;
    let row = |name: &str, cycle: f64| {
        vec![name.to_owned(), format!("{:.0} ms", cycle * 1e3), format!("{:.3}", cycle / four)]
    };
    rows.push(row("four", four));
    rows.push(row("five", five));
    let lost: f64 = disturbed.gaps.iter().map(|gap| gap.as_secs_f64() - read_takes).sum();
    let mut last = row("four and a silent one", disturbed.cycle());
    last.extend(["1.1 or less".to_owned(), disturbed.gaps.len().to_string()]);
    last.extend([format!("{:.1} %", lost / disturbed.took() * 100.0), "5 % or less".to_owned()]);
    rows.push(last);
    let title = format!(
        "One silent slave of five, once found dead (9600 8E1, {POINTS} scattered registers each, time-out {} ms, looked \
         for every second at the most)",
        TIMEOUT.as_millis()
    );
    table::print(&title, &rows);
}

/// The cycle of so many slaves, in seconds.
async fn calm(slaves: u8) -> f64 {
    let Running { line: _line, adapters, mut reports, .. } = start(&case(slaves));
    while !is_read(&reports.recv().await.unwrap()) {}
    let mut seen = Seen::from_now();
    let until = tokio::time::Instant::now() + CALM;
    while let Ok(report) = timeout_at(until, reports.recv()).await {
        seen.read(&report.unwrap());
    }
    adapters.stop().await;
    seen.cycle()
}

/// From when the fifth slave is found dead until it was looked for so many times; and how long a read takes, in seconds.
async fn disturbed() -> (Seen, f64) {
    let Running { line, site, adapters, mut reports } = start(&case(5));
    while !is_read(&reports.recv().await.unwrap()) {}
    line.unit(5).unwrap().fault(Fault::Silent);
    let offline =
        |report| matches!(report, FromAdapter::Report(AdapterReport::Online { online: Err(_), .. }));
    while !offline(reports.recv().await.unwrap()) {}
    let mut seen = Seen::from_now();
    while seen.gaps.len() < PROBES {
        seen.read(&reports.recv().await.unwrap());
    }
    adapters.stop().await;
    (seen, foretold(&site))
}

async fn writes() {
    let Running { line, site, adapters, mut reports } = start(&case(5));
    let way = Way { bus: site.buses[0].kind.clone(), delay: DELAY };
    let value = Value::Number(1.into());
    // The silence between two exchanges is that before the second.
    let own = explain::time(&explain::write(&site.devices[0], &way, PointId(0), &value).unwrap());
    let (mut waits, mut most_polls) = (Vec::new(), 0);
    for index in 0..WRITES {
        // Each comes at another moment of a read that has just begun.
        while !is_read(&reports.recv().await.unwrap()) {}
        let phase = tokio::time::Instant::now() + Duration::from_micros(600) * index.into();
        while timeout_at(phase, reports.recv()).await.is_ok() {}
        let (asked, before) = (Instant::now(), line.requests());
        adapters.call(AdapterCall {
            id: CallId(index.into()),
            device: site.devices[usize::from(index % 5)].id.clone(),
            within: Duration::from_secs(5),
            behind: Duration::ZERO,
            action: Action::Write(vec![(PointId(index % POINTS), value.clone())]),
        });
        let reply = reply(&mut reports).await;
        waits.push(asked.elapsed().saturating_sub(own).as_secs_f64() * 1e3);
        most_polls = most_polls.max(polls_before_write(&line, before));
        assert!(reply.outcome.unwrap().iter().all(|reading| reading.result.is_ok()));
    }
    adapters.stop().await;
    let read = foretold(&site) * 1e3;
    let [half, most] = [50, 100].map(|percent| table::percentile(waits.iter().copied(), percent));
    let head = ["writes", "polls begun meanwhile", "target", "wait, median", "longest", "one poll takes"];
    let row = vec![
        WRITES.to_string(),
        format!("{most_polls} at most"),
        "1 or less".to_owned(),
        format!("{half:.1} ms"),
        format!("{most:.1} ms"),
        format!("{read:.1} ms"),
    ];
    let title = "Writes between the polls of a line that is never idle (9600 8E1): the wait before their own exchange";
    table::print(title, &[head.map(str::to_owned).to_vec(), row]);
}

/// What was asked after so many requests and before the newest write: at most what was about to be sent then.
fn polls_before_write(line: &ModbusLine, before: u64) -> usize {
    let (log, heard) = (line.log(), line.requests());
    let since = log.len().saturating_sub(usize::try_from(heard - before).unwrap());
    log[since..].iter().take_while(|seen| !seen.is_write()).count()
}

async fn reply(reports: &mut mpsc::Receiver<FromAdapter>) -> AdapterReply {
    loop {
        if let FromAdapter::Reply(reply) = reports.recv().await.unwrap() {
            return reply;
        }
    }
}
