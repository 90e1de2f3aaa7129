//! Reads `model.txt`, the broker's own part of the supported data model. Its syntax is explained at its top.

use std::str::FromStr;

use rust_decimal::Decimal;
use usp_proto::path::Name;

use super::schema::{Command, Event, Key, ObjId, Owner, Param, ParamAccess, Reference, Schema, TableAccess};
use super::types::{Base, ParamType};

/// The text itself.
const MODEL: &str = include_str!("model.txt");

/// The broker's own supported data model.
///
/// Errors: the line and what is wrong with it. The text is part of the program, so a test is where that shows.
pub fn own_model() -> Result<Schema, String> {
    parse(MODEL)
}

fn parse(text: &str) -> Result<Schema, String> {
    let mut schema = Schema::default();
    let mut current = None;
    for (number, line) in text.lines().enumerate() {
        let content = line.trim_end();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let result = if content.starts_with(' ') {
            element(&mut schema, current, content.trim_start())
        } else {
            object(&mut schema, content).map(|id| current = Some(id))
        };
        result.map_err(|problem| format!("line {}: {problem}: {line}", number + 1))?;
    }
    Ok(schema)
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|e| e.to_string())
}

fn object(schema: &mut Schema, line: &str) -> Result<ObjId, String> {
    let mut words = line.split_whitespace();
    let path = words.next().ok_or("no path")?;
    let access = words.next().ok_or("no access")?;
    let id = place(schema, path)?;
    let object = schema.get_mut(id).ok_or("lost")?;
    object.access = TableAccess { add: access == "rw", delete: access == "rw" };
    for word in words {
        match word.split_once('=') {
            Some(("when", param)) => object.when = Some(name(param)?),
            Some(("key", params)) => object.keys.push(key(params, true)?),
            Some(("key!", params)) => object.keys.push(key(params, false)?),
            Some(("like", other)) => return mount(schema, other, id),
            None if word == "divergent" => object.divergent = true,
            _ => return Err(format!("unknown word {word}")),
        }
    }
    Ok(id)
}

/// Gives an object what another one has, with all below that.
fn mount(schema: &mut Schema, from: &str, to: ObjId) -> Result<ObjId, String> {
    let from = schema.find(from).ok_or_else(|| format!("{from} comes later"))?;
    copy(schema, from, to).ok_or("lost")?;
    Ok(to)
}

fn copy(schema: &mut Schema, from: ObjId, to: ObjId) -> Option<()> {
    let source = schema.get(from)?.clone();
    let object = schema.get_mut(to)?;
    object.access = source.access;
    object.keys = source.keys;
    object.when = source.when;
    object.divergent = source.divergent;
    object.params = source.params;
    object.commands = source.commands;
    object.events = source.events;
    for child in source.children.into_values() {
        let (name, table) = schema.get(child).map(|o| (o.name.clone(), o.table))?;
        let below = schema.ensure(Some(to), &name, table, Owner::Local);
        copy(schema, child, below)?;
    }
    Some(())
}

fn key(params: &str, functional: bool) -> Result<Key, String> {
    Ok(Key { params: params.split('+').map(name).collect::<Result<_, _>>()?, functional })
}

/// Finds the object's parent, which must stand before it, and adds it there.
fn place(schema: &mut Schema, path: &str) -> Result<ObjId, String> {
    let (bare, table) = match path.strip_suffix("{i}.") {
        Some(bare) => (bare, true),
        None => (path, false),
    };
    let bare = bare.strip_suffix('.').ok_or("no final dot")?;
    let (above, own) = bare.rsplit_once('.').map_or(("", bare), |(a, o)| (a, o));
    let parent = match above {
        "" => None,
        above => Some(schema.find(&format!("{above}.")).ok_or_else(|| format!("{above}. comes later"))?),
    };
    Ok(schema.ensure(parent, &name(own)?, table, Owner::Local))
}

fn element(schema: &mut Schema, current: Option<ObjId>, line: &str) -> Result<(), String> {
    let object = current.and_then(|id| schema.get_mut(id)).ok_or("no object above")?;
    let (first, rest) = line.split_once(char::is_whitespace).ok_or("too short")?;
    let rest = rest.trim_start();
    if let Some(own) = first.strip_suffix("()") {
        object.commands.insert(name(own)?, command(rest)?);
    } else if let Some(own) = first.strip_suffix('!') {
        let args = rest.trim_start_matches('(').trim_end_matches(')');
        object.events.insert(name(own)?, Event { args: words(args), owner: Owner::Local });
    } else {
        object.params.insert(name(first)?, param(rest)?);
    }
    Ok(())
}

fn words(list: &str) -> Vec<String> {
    list.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn command(rest: &str) -> Result<Command, String> {
    let part = |tag: &str| {
        let tail = rest.split_once(tag).map(|(_, tail)| tail);
        tail.and_then(|t| t.split_once(')')).map(|(inner, _)| words(inner)).ok_or(format!("no {tag}"))
    };
    let inputs = part("in(")?.into_iter().map(|a| match a.strip_prefix('!') {
        Some(mandatory) => (mandatory.to_owned(), true),
        None => (a, false),
    });
    Ok(Command {
        is_async: rest.starts_with("async"),
        inputs: inputs.collect(),
        outputs: part("out(")?,
        owner: Owner::Local,
    })
}

fn param(rest: &str) -> Result<Param, String> {
    let (ty, tail) = split_type(rest)?;
    let mut words = tail.split_whitespace();
    let access = match words.next() {
        Some("ro") => ParamAccess::Read,
        Some("rw") => ParamAccess::ReadWrite,
        Some("once") => ParamAccess::Once,
        other => return Err(format!("unknown access {other:?}")),
    };
    let mut param = Param {
        ty,
        access,
        quiet: false,
        secured: false,
        default: None,
        reference: None,
        owner: Owner::Local,
    };
    for word in words {
        match word.split_once('=') {
            None if word == "quiet" => param.quiet = true,
            None if word == "secured" => param.secured = true,
            Some(("default", value)) => param.default = Some(value.into()),
            Some(("ref", table)) => param.reference = Some(Reference { table: table.into(), strong: false }),
            Some(("ref!", table)) => param.reference = Some(Reference { table: table.into(), strong: true }),
            _ => return Err(format!("unknown word {word}")),
        }
    }
    Ok(param)
}

/// `string[](#1..64) rw …` into the type and the rest.
fn split_type(rest: &str) -> Result<(ParamType, &str), String> {
    let end = rest.find(['(', ' ', '[']).ok_or("no access")?;
    let (base, mut tail) = rest.split_at(end);
    let mut ty = ParamType::plain(Base::from_str(base)?);
    if let Some(after) = tail.strip_prefix("[]") {
        ty.list = true;
        tail = after;
    }
    if let Some(after) = tail.strip_prefix('(') {
        let (rules, after) = after.split_once(')').ok_or("no )")?;
        for rule in rules.split_whitespace() {
            add_rule(&mut ty, rule)?;
        }
        tail = after;
    }
    Ok((ty, tail))
}

fn add_rule(ty: &mut ParamType, rule: &str) -> Result<(), String> {
    if let Some(most) = rule.strip_prefix('*') {
        ty.most_items = Some(most.parse().map_err(|_| format!("not a number of items: {most}"))?);
    } else if let Some(length) = rule.strip_prefix('#') {
        let (low, high) = length.split_once("..").ok_or("no ..")?;
        ty.length = (low.parse().unwrap_or(0), high.parse().ok());
    } else if let Some((low, high)) = rule.split_once("..") {
        ty.range = (Decimal::from_str(low).ok(), Decimal::from_str(high).ok());
    } else {
        ty.values = rule.split('|').map(str::to_owned).collect();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_model_is_readable() {
        let schema = own_model().unwrap();
        let id = schema.find("Device.LocalAgent.Subscription.{i}.").unwrap();
        let subscription = schema.get(id).unwrap();
        assert!(subscription.table && subscription.access.add);
        assert_eq!(subscription.keys.len(), 2);
        let ttl = &subscription.params[&Name::new("TimeToLive").unwrap()];
        assert_eq!(ttl.ty.base, Base::UnsignedInt);
        assert_eq!(ttl.default.as_deref(), Some("0"));
    }

    #[test]
    fn every_reference_names_a_table_of_the_model() {
        let schema = own_model().unwrap();
        for (_, object) in schema.iter() {
            for reference in object.params.values().filter_map(|p| p.reference.as_ref()) {
                let table = format!("{}{{i}}.", reference.table);
                assert!(schema.find(&table).is_some(), "{} in {}", table, object.path);
            }
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        let problem = parse("Device. ro\n  A strung ro\n").unwrap_err();
        assert_eq!(problem, "line 2: unknown type strung:   A strung ro");
    }
}
