//! What the broker's polling is measured against: tokio-modbus alone, one task a device, which reads the same blocks and
//! does nothing with them.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, ExitCode};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_modbus::client::{Context, tcp};
use tokio_modbus::prelude::{Reader, Slave};
use usp_tests::process::Process;

use super::BLOCK;
use crate::world::program;

/// Set for the process that plays: blocks of each device, and the ports of all.
const ROLE: &str = "USP_BENCH_BARE";

/// Starts it.
pub(super) fn start(ports: &[u16], blocks: u16) -> Process {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    Process::start(Command::new(program()).env(ROLE, format!("{blocks} {}", ports.join(" "))))
}

/// Plays, if this process is to.
pub(super) fn play() -> Option<ExitCode> {
    let role = std::env::var(ROLE).ok()?;
    let mut words = role.split(' ');
    let blocks: u16 = words.next()?.parse().unwrap();
    // As many threads as the broker has.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for port in words {
            tokio::spawn(poll(port.parse().unwrap(), blocks));
        }
        std::future::pending::<()>().await;
    });
    Some(ExitCode::SUCCESS)
}

/// Connects to one device.
pub(super) async fn connect(port: u16) -> Context {
    tcp::connect_slave(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Slave(1)).await.unwrap()
}

async fn poll(port: u16, blocks: u16) {
    let mut device = connect(port).await;
    let mut due = interval(Duration::from_secs(1));
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        due.tick().await;
        for block in 0..blocks {
            let words = device.read_holding_registers(block * BLOCK, BLOCK).await.unwrap().unwrap();
            assert_eq!(words.len(), usize::from(BLOCK));
        }
    }
}
