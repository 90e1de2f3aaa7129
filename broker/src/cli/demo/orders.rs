//! What is typed while a demo runs: its devices are changed and go wrong as those of `mapping simulate` do.

use std::io::{self, IsTerminal};

use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use usp_simulators::console::Typed;
use usp_simulators::mischief::{Fault, Order};
use usp_simulators::modbus::ModbusHandle;
use usp_simulators::value::SimValue;

use super::things::Things;
use crate::cli::mapping::simulate::things::{Command, Faults, Thing};
use crate::cli::{Failure, print_line};

/// The lines of standard input.
pub(super) struct Orders(Option<Typed>);

impl Orders {
    /// From now on. Whoever runs in the background of a terminal would be stopped by reading from it.
    pub(super) fn new() -> Self {
        let stdin = io::stdin();
        let is_ours = !stdin.is_terminal() || tcgetpgrp(&stdin).is_ok_and(|group| group == getpgrp());
        Self(is_ours.then(Typed::default))
    }

    /// Obeys until `quit`, which ends it.
    ///
    /// Errors: standard output is closed.
    pub(super) async fn obey(&mut self, things: &Things) -> Result<(), Failure> {
        let Some(typed) = &mut self.0 else { return std::future::pending().await };
        loop {
            let said = match typed.next().await.parse() {
                Ok(Command::Quit) => return Ok(()),
                Ok(Command::Nothing) => continue,
                Ok(command) => things.stage().obey(&command),
                Err(why) => Err(why),
            };
            print_line(said.unwrap_or_else(|why| format!("error: {why}")))?;
        }
    }
}

impl Thing for ModbusHandle {
    fn all_faults(&self) -> Faults {
        &Fault::ALL
    }

    fn set(&self, capability: &str, value: &str) -> Result<(), String> {
        Self::set(self, capability, SimValue::typed(value)).map_err(|error| error.to_string())
    }

    fn release(&self, capability: &str) -> Result<(), String> {
        Self::release(self, capability).map_err(|error| error.to_string())
    }

    fn fault(&self, text: &str) -> Result<String, String> {
        let order: Order<Fault> = text.parse().map_err(|error| format!("{error}"))?;
        self.can(&order.fault).map_err(|error| error.to_string())?;
        Self::fault(self, order.clone());
        Ok(order.to_string())
    }

    fn knows_fault(&self, text: &str) -> Result<(), String> {
        text.parse::<Order<Fault>>().map(drop).map_err(|error| error.to_string())
    }

    fn clear(&self) {
        self.clear_faults();
    }

    fn state(&self) -> String {
        let faults = self.faults();
        let faults =
            if faults.is_empty() { String::new() } else { format!(", faults: {}", faults.join(", ")) };
        format!("unit {}, {} requests{faults}", self.unit(), self.requests())
    }

    fn values(&self) -> Vec<(String, String)> {
        Self::values(self).into_iter().map(|(name, value)| (name, value.to_string())).collect()
    }
}
