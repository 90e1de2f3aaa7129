//! How much of a serial line is used: reads one after another on a simulated line with true timing that hears no request
//! before t3.5 of silence, as a share of what an ideal master would need, and beside what `mapping explain` foretells.

mod disturbed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use usp_adapters::explain::{self, Way};
use usp_adapters::{Adapters, FromAdapter};
use usp_mapping::diagnostic::SourceFile;
use usp_mapping::draft::MappingDraft;
use usp_mapping::mapping::Site;
use usp_mapping::port::AdapterReport;
use usp_mapping::site::compile_site;
use usp_simulators::modbus::{LineSettings, ModbusDevice, ModbusLine};

use crate::table;

/// How long each line is polled.
const TIME: Duration = Duration::from_secs(4);

/// How long a slave thinks.
const DELAY: Duration = Duration::from_millis(10);

/// One line.
struct Case {
    name: &'static str,
    baud: u32,
    parity: &'static str,
    slaves: u8,
    mapping: String,
}

/// Prints each line's share.
pub(crate) async fn measure() {
    let mut rows = vec![
        [
            "line",
            "reads",
            "share of the ideal",
            "target",
            "a read takes",
            "foretold",
            "off by",
            "broken silences",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for case in cases() {
        rows.push(run(&case).await);
    }
    table::print("Reads on a serial line (slaves think for 10 ms, strict about t3.5)", &rows);
    disturbed::measure().await;
}

fn cases() -> Vec<Case> {
    let block = |baud| Case {
        name: "125 registers, 1 slave",
        baud,
        parity: "none",
        slaves: 1,
        mapping: mapping((0..125).map(|at| (at, at))),
    };
    let scattered = Case {
        name: "20 scattered registers, 5 slaves",
        baud: 9600,
        parity: "even",
        slaves: 5,
        mapping: mapping((0..20).map(|at| (at, at * 50))),
    };
    vec![block(9600), block(19_200), block(115_200), scattered]
}

fn mapping(registers: impl Iterator<Item = (u16, u16)>) -> String {
    let head = "uspmap: 1\nprofile: bench.line\nversion: 1.0.0\ndevice: {type: Meter}\n\
                modbus: {max_registers: 125, max_gap: 0, timeout: 500ms}\npoll: {all: 1ms}\ncapabilities:\n";
    let point = |(id, at)| {
        format!("  r{id}: {{class: LevelSensor, type: Power, unit: W, read: {{holding: {at}}}}}\n")
    };
    registers.map(point).fold(head.to_owned(), |text, line| text + &line)
}

/// A line with its slaves, what polls them, and what that says.
struct Running {
    line: ModbusLine,
    site: Arc<Site>,
    adapters: Adapters,
    reports: mpsc::Receiver<FromAdapter>,
}

fn start(case: &Case) -> Running {
    let settings = LineSettings {
        baud: case.baud,
        bits_per_character: if case.parity == "none" { 10 } else { 11 },
        delay: DELAY,
        strict: true,
    };
    let source = SourceFile::new("line.yaml", &case.mapping);
    let draft = MappingDraft::parse(&source).0.unwrap();
    let units = (1..=case.slaves).map(|unit| (unit, ModbusDevice::from_draft(&draft, unit.into()).unwrap()));
    let line = ModbusLine::open(settings, units, true).unwrap();
    let site = Arc::new(site(case, &line, &source));
    let (to_core, reports) = mpsc::channel(1024);
    let adapters = Adapters::start(Arc::clone(&site), to_core);
    Running { line, site, adapters, reports }
}

async fn run(case: &Case) -> Vec<String> {
    let Running { line, site, adapters, mut reports } = start(case);
    let foretold = foretold(&site);
    let until = tokio::time::Instant::now() + TIME;
    // What is read before all is settled does not count.
    while !is_read(&reports.recv().await.unwrap()) {}
    let (began, before) = (Instant::now(), line.busy());
    let (mut reads, mut busy, mut took) = (0, Duration::ZERO, Duration::ZERO);
    while let Ok(report) = tokio::time::timeout_at(until, reports.recv()).await {
        if report.is_some_and(|report| is_read(&report)) {
            (reads, busy, took) = (reads + 1, line.busy() - before, began.elapsed());
        }
    }
    adapters.stop().await;
    let each = took.as_secs_f64() / f64::from(reads);
    vec![
        format!("{} baud, {}", case.baud, case.name),
        reads.to_string(),
        format!("{:.3}", busy.as_secs_f64() / took.as_secs_f64()),
        "0.95 or more".to_owned(),
        format!("{:.2} ms", each * 1e3),
        format!("{:.2} ms", foretold * 1e3),
        format!("{:+.1} %", (each / foretold - 1.0) * 100.0),
        "5 % or less".to_owned(),
        line.broken_silences().to_string(),
    ]
}

fn is_read(report: &FromAdapter) -> bool {
    matches!(report, FromAdapter::Report(AdapterReport::Readings { .. }))
}

/// How long a read takes on average, in seconds, as `mapping explain` foretells it.
fn foretold(site: &Site) -> f64 {
    let way = Way { bus: site.buses[0].kind.clone(), delay: DELAY };
    let rounds = site.devices.iter().flat_map(|device| explain::rounds(device, &way));
    let reads: Vec<_> = rounds.flat_map(|round| round.exchanges).collect();
    explain::time(&reads).as_secs_f64() / reads.len() as f64
}

fn site(case: &Case, line: &ModbusLine, source: &SourceFile) -> Site {
    let (path, baud, parity) = (line.path().display(), case.baud, case.parity);
    let devices: String = (1..=case.slaves)
        .map(|unit| format!("  d{unit}: {{file: line.yaml, bus: line, unit: {unit}}}\n"))
        .collect();
    let text = format!(
        "site: 1\nbuses:\n  line: {{modbus_rtu: {path}, baud: {baud}, parity: {parity}}}\ndevices:\n{devices}"
    );
    let (site, found) = compile_site(&SourceFile::new("site.yaml", &text), &|_| Ok(source.clone()));
    site.unwrap_or_else(|| panic!("{}", found[0].message))
}
