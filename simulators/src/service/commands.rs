//! What the Commands of the simulated Service do.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::model::Model;

type Args = BTreeMap<String, String>;

/// What a running Command still has to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    /// Compares the thermometer with a reference, in steps.
    Calibrate { reference: f64, steps: u32, done: u32 },
    /// Raises a zone's set-point.
    Boost { degrees: f64 },
}

/// What one step led to.
pub(crate) enum Progress {
    Going,
    Done(Result<Args, Fault>),
}

fn bad(arg: &str, text: &str, wanted: &str) -> Fault {
    Fault::new(7027, format!("argument {arg}: {text:?} is not {wanted}"))
}

fn number(args: &Args, name: &str, default: f64, range: (f64, f64)) -> Result<f64, Fault> {
    let Some(text) = args.get(name) else { return Ok(default) };
    let wanted = format!("a number from {} to {}", range.0, range.1);
    let value = text.parse().ok().filter(|value| (range.0..=range.1).contains(value));
    value.ok_or_else(|| bad(name, text, &wanted))
}

fn value(model: &Model, path: &str) -> f64 {
    model.get(path).and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// Runs a Command that is done at once.
pub(crate) fn run(
    model: &mut Model,
    root: &str,
    object: &str,
    name: &str,
    args: &Args,
) -> Result<Args, Fault> {
    match name {
        "Reset()" => {
            let previous = model.get(&format!("{root}Stats.SwitchCycles")).unwrap_or_default().to_owned();
            let resets = value(model, &format!("{root}Stats.Resets")) as u64 + 1;
            model.put(&format!("{root}Stats.SwitchCycles"), "0");
            model.put(&format!("{root}Stats.Resets"), &resets.to_string());
            Ok(BTreeMap::from([("Previous".to_owned(), previous)]))
        }
        "Identify()" => {
            let count = number(args, "Count", 1.0, (1.0, 10.0))?;
            Ok(BTreeMap::from([("Blinked".to_owned(), count.round().to_string())]))
        }
        _ => Err(Fault::new(7026, format!("{object}{name} is not supported"))),
    }
}

/// Checks the arguments of a Command that takes time.
pub(crate) fn begin(model: &Model, root: &str, object: &str, name: &str, args: &Args) -> Result<Work, Fault> {
    match name {
        "Calibrate()" => {
            let default = value(model, &format!("{root}Temperature"));
            let reference = number(args, "Reference", default, (-50.0, 100.0))?;
            let steps = number(args, "Steps", 4.0, (1.0, 100.0))?.round() as u32;
            Ok(Work::Calibrate { reference, steps, done: 0 })
        }
        "Boost()" => Ok(Work::Boost { degrees: number(args, "Degrees", 2.0, (0.5, 5.0))? }),
        _ => Err(Fault::new(7026, format!("{object}{name} is not supported"))),
    }
}

impl Work {
    /// Does one step.
    pub(crate) fn step(&mut self, model: &mut Model, root: &str, object: &str) -> Progress {
        match self {
            Self::Calibrate { reference, steps, done } => {
                *done += 1;
                let percent = 100 * *done / *steps;
                model.put(&format!("{root}CalibrationProgress"), &percent.to_string());
                if done < steps {
                    return Progress::Going;
                }
                let offset = *reference - value(model, &format!("{root}Temperature"));
                if offset.abs() > 20.0 {
                    let message = format!("{reference} is too far from what the thermometer shows");
                    return Progress::Done(Err(Fault::new(7022, message)));
                }
                Progress::Done(Ok(BTreeMap::from([("Offset".to_owned(), format!("{offset:.1}"))])))
            }
            Self::Boost { degrees } => {
                let path = format!("{object}Setpoint");
                let raised = format!("{:.1}", (value(model, &path) + *degrees).min(30.0));
                if !model.put(&path, &raised) {
                    return Progress::Done(Err(Fault::new(7016, format!("{object} is not there any more"))));
                }
                Progress::Done(Ok(BTreeMap::from([("Setpoint".to_owned(), raised)])))
            }
        }
    }
}
