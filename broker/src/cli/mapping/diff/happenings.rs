//! What a change does to nodes, commands and events.

use usp_mapping::mapping::{
    ArgKind, Command, CommandArg, Event, EventArg, Mapping, Node, NodeId, StepValue, Trigger,
};
use usp_mapping::value::{Value, decimal_text};

use super::changes::{
    Change, Field, Instance, changed, field, gained, has_rows, lost, poll_text, read, target_of,
};
use super::version::Bump;

/// Nodes, commands and events that differ.
pub(super) fn happenings(old: &Mapping, new: &Mapping) -> Vec<Change> {
    let mut changes = listed("node", &nodes(old), &nodes(new), |_, _| false, node);
    let renamed = |old: &Of<'_, Command>, new: &Of<'_, Command>| {
        sends(old) == sends(new) && args(old.it) == args(new.it) && old.it.node == new.it.node
    };
    changes.extend(listed("command", &commands(old), &commands(new), renamed, command));
    let renamed = |old: &Of<'_, Event>, new: &Of<'_, Event>| {
        old.it.read.parts == new.it.read.parts
            && old.it.trigger == new.it.trigger
            && old.it.node == new.it.node
    };
    changes.extend(listed("event", &events(old), &events(new), renamed, event));
    changes
}

/// A thing and the mapping that it is in.
struct Of<'m, T> {
    key: String,
    mapping: &'m Mapping,
    it: &'m T,
}

fn nodes(mapping: &Mapping) -> Vec<Of<'_, Node>> {
    mapping.nodes.iter().map(|it| Of { key: it.id.clone(), mapping, it }).collect()
}

fn commands(mapping: &Mapping) -> Vec<Of<'_, Command>> {
    mapping.commands.iter().map(|it| Of { key: dotted(mapping, it.node, &it.name), mapping, it }).collect()
}

fn events(mapping: &Mapping) -> Vec<Of<'_, Event>> {
    mapping.events.iter().map(|it| Of { key: it.id.clone(), mapping, it }).collect()
}

fn dotted(mapping: &Mapping, node: Option<NodeId>, name: &str) -> String {
    let node = node.and_then(|node| mapping.nodes.get(usize::from(node.0)));
    node.map_or(name.to_owned(), |node| format!("{}.{name}", node.id))
}

/// What is gone, what is new, and what is another one.
fn listed<'m, T>(
    what: &'static str,
    old: &[Of<'m, T>],
    new: &[Of<'m, T>],
    is_renamed: impl Fn(&Of<'m, T>, &Of<'m, T>) -> bool,
    fields: impl Fn(&Of<'m, T>, &Of<'m, T>) -> Vec<Field>,
) -> Vec<Change> {
    let mut fresh: Vec<&Of<'m, T>> =
        new.iter().filter(|it| !old.iter().any(|other| other.key == it.key)).collect();
    let mut changes = Vec::new();
    let mut kept = Vec::new();
    for it in old {
        if let Some(other) = new.iter().find(|other| other.key == it.key) {
            let change = changed(&it.key, fields(it, other));
            kept.extend(change.map(|change| Change {
                what,
                instance: has_rows(what).then_some(Instance::Kept),
                ..change
            }));
            continue;
        }
        let heir =
            fresh.iter().position(|other| is_renamed(it, other)).map(|at| fresh.remove(at).key.clone());
        changes.push(lost(what, &it.key, heir));
    }
    changes.extend(fresh.into_iter().map(|it| gained(what, &it.key)));
    changes.extend(kept);
    changes
}

fn node(old: &Of<'_, Node>, new: &Of<'_, Node>) -> Vec<Field> {
    let all = [
        field("type", Bump::Major, &old.it.kind, &new.it.kind),
        field("description", Bump::Patch, &old.it.description, &new.it.description),
    ];
    all.into_iter().flatten().collect()
}

fn command(old: &Of<'_, Command>, new: &Of<'_, Command>) -> Vec<Field> {
    let millis = |it: &Command| format!("{} ms", it.ttl.as_millis());
    let all = [
        field("description", Bump::Patch, &old.it.description, &new.it.description),
        field("arguments", fewer_calls(&old.it.args, &new.it.args), &args(old.it), &args(new.it)),
        field("sends", Bump::Patch, &sends(old), &sends(new)),
        field("ttl", Bump::Patch, &millis(old.it), &millis(new.it)),
    ];
    all.into_iter().flatten().collect()
}

/// Whether a call that was right before is wrong now, or means something else.
fn fewer_calls(old: &[CommandArg], new: &[CommandArg]) -> Bump {
    let other = |args: &[CommandArg], name: &str| args.iter().find(|arg| arg.name == name).cloned();
    let is_lost = old.iter().any(|arg| match other(new, &arg.name) {
        None => true,
        Some(now) => !admits(&now.kind, &arg.kind) || arg.default.is_some() && now.default.is_none(),
    });
    let is_wanted = new.iter().any(|arg| arg.default.is_none() && other(old, &arg.name).is_none());
    let is_more = new.iter().any(|arg| {
        other(old, &arg.name)
            .is_none_or(|was| was.kind != arg.kind || was.default.is_none() && arg.default.is_some())
    });
    match (is_lost || is_wanted, is_more) {
        (true, _) => Bump::Major,
        (false, true) => Bump::Minor,
        (false, false) => Bump::Patch,
    }
}

/// Whether one kind of argument takes all that another takes.
fn admits(wide: &ArgKind, narrow: &ArgKind) -> bool {
    match (wide, narrow) {
        (ArgKind::Int(a, b), ArgKind::Int(c, d))
        | (ArgKind::Number(a, b), ArgKind::Int(c, d) | ArgKind::Number(c, d)) => a <= c && b >= d,
        (ArgKind::Enum(wide), ArgKind::Enum(narrow)) => narrow.iter().all(|word| wide.contains(word)),
        (ArgKind::Text(wide), ArgKind::Text(narrow)) => wide >= narrow,
        (wide, narrow) => wide == narrow,
    }
}

fn args(command: &Command) -> String {
    let one = |arg: &CommandArg| {
        let kind = match &arg.kind {
            ArgKind::Int(min, max) => format!("int {} to {}", decimal_text(*min), decimal_text(*max)),
            ArgKind::Number(min, max) => format!("number {} to {}", decimal_text(*min), decimal_text(*max)),
            ArgKind::Bool => "bool".to_owned(),
            ArgKind::Enum(words) => format!("one of {}", words.join(" ")),
            ArgKind::Text(most) => format!("text of at most {most}"),
        };
        let default = arg.default.as_ref().map(|default| format!(" = {}", default.to_usp()));
        format!("{}: {kind}{}", arg.name, default.unwrap_or_default())
    };
    command.args.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn sends(of: &Of<'_, Command>) -> String {
    let steps = of.it.steps.iter().map(|step| {
        let value = match &step.value {
            StepValue::Fixed(value) => value.to_usp(),
            StepValue::Arg(place) => of.it.args.get(*place).map_or(String::new(), |arg| arg.name.clone()),
            StepValue::Made(made) => made.tree.to_string(),
        };
        format!("{value} to {}", target_of(&step.point, &step.transform))
    });
    steps.collect::<Vec<_>>().join("; ")
}

fn event(old: &Of<'_, Event>, new: &Of<'_, Event>) -> Vec<Field> {
    let reads = |of: &Of<'_, Event>| read(Some(&of.it.read));
    let polls = |of: &Of<'_, Event>| poll_text(of.mapping, Some(of.it.read.poll));
    let all = [
        field("description", Bump::Patch, &old.it.description, &new.it.description),
        field("on", less_often(&old.it.trigger, &new.it.trigger), &on(&old.it.trigger), &on(&new.it.trigger)),
        field("arguments", fewer_arguments(old, new), &shown(old), &shown(new)),
        field("read", Bump::Patch, &reads(old), &reads(new)),
        field("poll", Bump::Patch, &polls(old), &polls(new)),
    ];
    all.into_iter().flatten().collect()
}

/// Who waits for an event that comes no more has lost something.
fn less_often(old: &Trigger, new: &Trigger) -> Bump {
    match (old, new) {
        (_, Trigger::Change) => Bump::Minor,
        (Trigger::Becomes(old) | Trigger::Says(old), Trigger::Says(new))
        | (Trigger::Becomes(old), Trigger::Becomes(new))
            if old.iter().all(|value| new.contains(value)) =>
        {
            Bump::Minor
        }
        _ => Bump::Major,
    }
}

fn on(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Change => "change".to_owned(),
        Trigger::Becomes(values) => in_words(values),
        Trigger::Says(values) => format!("each time {}", in_words(values)),
    }
}

fn in_words(values: &[Value]) -> String {
    values.iter().map(Value::to_usp).collect::<Vec<_>>().join(", ")
}

fn pairs(of: &Of<'_, Event>) -> Vec<String> {
    let shown = |arg: &EventArg| match arg {
        EventArg::Own => "what it is seen by".to_owned(),
        EventArg::Capability(point) => {
            of.mapping.point(*point).map_or(String::new(), |point| point.name.to_owned())
        }
    };
    of.it.args.iter().map(|(name, arg)| format!("{name}: {}", shown(arg))).collect()
}

fn shown(of: &Of<'_, Event>) -> String {
    pairs(of).join(", ")
}

fn fewer_arguments(old: &Of<'_, Event>, new: &Of<'_, Event>) -> Bump {
    let now = pairs(new);
    if pairs(old).iter().all(|pair| now.contains(pair)) { Bump::Minor } else { Bump::Major }
}

#[cfg(test)]
mod tests {
    use usp_mapping::compile::compile_file;
    use usp_mapping::diagnostic::SourceFile;
    use usp_mapping::value::parse_decimal;

    use super::*;

    const OLD: &str = "uspmap: 1
profile: acme.x
version: 1.0.0
device: {type: Sensor}
capabilities:
  power: {class: LevelSensor, type: Power, unit: W, read: {input: 0}}
  state: {class: LevelSensor, type: Meter, unit: V, read: {input: 1}}
commands:
  X_ACME_Reset: {args: {Delay: {int: [0, 10], default: 5}}, send: [{holding: 1, value: \"${arg.Delay}\"}]}
events:
  X_ACME_Over: {read: {input: 2}, on: [3], args: {Power: power}}
nodes:
  left: {type: Light, commands: {X_ACME_Blink: {send: [{coil: 1, value: 1}]}}}
";

    fn mapping(text: &str) -> Mapping {
        let (mapping, found) = compile_file(&SourceFile::new("x.yaml", text));
        mapping.unwrap_or_else(|| panic!("{found:?}"))
    }

    fn told(from: &str, to: &str) -> Vec<String> {
        assert!(OLD.contains(from), "{from}");
        let (old, new) = (mapping(OLD), mapping(&OLD.replace(from, to)));
        let changes = happenings(&old, &new).into_iter().map(|change| {
            let fields: Vec<String> = change
                .fields
                .iter()
                .map(|field| format!(" {}: {} -> {}", field.field, field.old, field.new))
                .collect();
            let to = change.to.map(|to| format!(" = {to}")).unwrap_or_default();
            format!(
                "{} {} {:?}{to} {}{}",
                change.what,
                change.key,
                change.change,
                change.needs,
                fields.join(";")
            )
        });
        changes.collect()
    }

    #[test]
    fn what_commands_take_and_send_is_told() {
        for (from, to, expected) in [
            (
                "[0, 10]",
                "[0, 20]",
                "command X_ACME_Reset Changed minor arguments: Delay: int 0 to 10 = 5 -> Delay: int 0 to 20 = 5",
            ),
            (
                "[0, 10]",
                "[0, 9]",
                "command X_ACME_Reset Changed major arguments: Delay: int 0 to 10 = 5 -> Delay: int 0 to 9 = 5",
            ),
            (
                ", default: 5",
                "",
                "command X_ACME_Reset Changed major arguments: Delay: int 0 to 10 = 5 -> Delay: int 0 to 10",
            ),
            (
                "default: 5",
                "default: 6",
                "command X_ACME_Reset Changed a patch arguments: Delay: int 0 to 10 = 5 -> Delay: int 0 to 10 = 6",
            ),
            (
                "send: [{holding: 1,",
                "ttl: 2s, send: [{holding: 2,",
                "command X_ACME_Reset Changed a patch sends: Delay to holding 1 u16 by SingleRegister -> Delay to holding 2 u16 by SingleRegister; ttl: 5000 ms -> 2000 ms",
            ),
            (
                "coil: 1, value: 1",
                "coil: 1, value: 0",
                "command left.X_ACME_Blink Changed a patch sends: true to coil 1 by SingleCoil -> false to coil 1 by SingleCoil",
            ),
            ("X_ACME_Blink", "X_ACME_Flash", "command left.X_ACME_Blink Renamed = left.X_ACME_Flash major"),
        ] {
            assert_eq!(told(from, to), [expected], "{from} -> {to}");
        }
    }

    #[test]
    fn when_events_happen_and_what_they_carry_is_told() {
        for (from, to, expected) in [
            ("on: [3]", "on: [3, 4]", "event X_ACME_Over Changed minor on: 3 -> 3, 4"),
            ("on: [3]", "on: [4]", "event X_ACME_Over Changed major on: 3 -> 4"),
            (
                "{Power: power}",
                "{Power: state}",
                "event X_ACME_Over Changed major arguments: Power: power -> Power: state",
            ),
            (
                "{Power: power}",
                "{Power: power, Code: \"${value}\"}",
                "event X_ACME_Over Changed minor arguments: Power: power -> Power: power, Code: what it is seen by",
            ),
            (
                "read: {input: 2}",
                "read: {input: 3}",
                "event X_ACME_Over Changed a patch read: input 2 u16 -> input 3 u16",
            ),
            ("X_ACME_Over:", "X_ACME_Overload:", "event X_ACME_Over Renamed = X_ACME_Overload major"),
            ("type: Light", "type: Motor", "node left Changed major type: Light -> Motor"),
        ] {
            assert_eq!(told(from, to), [expected], "{from} -> {to}");
        }
    }

    #[test]
    fn a_kind_of_argument_admits_what_is_narrower() {
        let decimal = |text| parse_decimal(text).unwrap();
        let int = |a, b| ArgKind::Int(decimal(a), decimal(b));
        assert!(admits(&int("0", "9"), &int("1", "8")) && !admits(&int("1", "8"), &int("0", "9")));
        let number = ArgKind::Number(decimal("0"), decimal("10"));
        assert!(admits(&number, &int("0", "10")) && !admits(&int("0", "10"), &number));
        assert!(admits(&ArgKind::Text(8), &ArgKind::Text(4)) && !admits(&ArgKind::Bool, &ArgKind::Text(4)));
    }
}
