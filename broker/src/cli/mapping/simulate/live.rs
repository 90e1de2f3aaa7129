//! While simulated devices run: what is typed, and the script.

use std::io::{self, IsTerminal, Write};

use serde_json::json;
use usp_simulators::console::Typed;
use usp_simulators::modbus::script::Told;
use usp_simulators::modbus::{Command, Plant, Script};

use crate::cli::interrupt::Interrupt;
use crate::cli::{Failure, print_line};

/// Obeys until `quit`, Ctrl-C or SIGTERM.
pub(super) async fn obey(
    plant: &Plant,
    script: Option<&Script>,
    json: bool,
    mut interrupt: Interrupt,
) -> Result<(), Failure> {
    let console = Console { json, prompt: !json && io::stdin().is_terminal() && io::stdout().is_terminal() };
    let mut typed = Typed::default();
    // Standard output that is gone ends the program at what is typed next, not the script.
    let scripted = async {
        let quits = match script {
            Some(script) => script.run(plant, |step| drop(console.step(step))).await,
            None => false,
        };
        // What is typed goes on after the last step.
        if !quits {
            std::future::pending::<()>().await;
        }
    };
    tokio::pin!(scripted);
    console.prompt()?;
    loop {
        tokio::select! {
            () = interrupt.wait() => break,
            () = &mut scripted => break,
            line = typed.next() => match line.parse() {
                Ok(Command::Quit) => break,
                Ok(Command::Nothing) => console.prompt()?,
                Ok(command) => console.answer(plant.obey(&command).map_err(|error| error.to_string()))?,
                Err(error) => console.answer(Err(format!("{error}")))?,
            },
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Console {
    json: bool,
    prompt: bool,
}

impl Console {
    fn answer(self, answer: Result<String, String>) -> Result<(), Failure> {
        match (answer, self.json) {
            (Ok(said), true) => print_line(json!({"ok": true, "said": said}))?,
            (Err(why), true) => print_line(json!({"ok": false, "said": why}))?,
            (Ok(said), false) => print_line(said)?,
            (Err(why), false) => print_line(format!("error: {why}"))?,
        }
        self.prompt()
    }

    /// Every step is told: without it nobody knows why a value jumps.
    fn step(self, step: &Told<'_>) -> Result<(), Failure> {
        let seconds = step.at.as_secs_f64();
        let (ok, said) = match &step.answer {
            Ok(said) => (true, said.clone()),
            Err(error) => (false, error.to_string()),
        };
        if self.json {
            return print_line(json!({"script_line": step.line, "seconds": seconds, "ok": ok, "said": said}));
        }
        let error = if ok { "" } else { "error: " };
        print_line(format!("script line {} at {seconds} s: {error}{said}", step.line))
    }

    fn prompt(self) -> Result<(), Failure> {
        if self.prompt {
            let mut out = io::stdout().lock();
            write!(out, "> ").and_then(|()| out.flush()).map_err(Failure::failed)?;
        }
        Ok(())
    }
}
