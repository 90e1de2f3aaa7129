//! Requests from one line of text.
//!
//! ```text
//! get [depth=N] PATH...
//! add|set atomic|partial OBJECT NAME=VALUE NAME!=VALUE ... [; OBJECT ...]      (!= : a required Parameter)
//! delete atomic|partial PATH...
//! instances [first] PATH...
//! supported [first] [commands] [events] [params] [keys] PATH...
//! protocol VERSIONS
//! operate COMMAND [key=KEY] [silent] [with NAME=VALUE...]                       (silent: no answer wanted)
//! ```

use usp_proto::usp::request::ReqType;
use usp_proto::usp::{
    Add, Delete, Get, GetInstances, GetSupportedDm, GetSupportedProtocol, Operate, Set, add, set,
};

/// The request that a line describes.
pub fn request(line: &str) -> Result<ReqType, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (verb, rest) = words.split_first().ok_or("an empty request")?;
    match *verb {
        "get" => Ok(ReqType::Get(get(rest)?)),
        "add" => Ok(ReqType::Add(add(rest)?)),
        "set" => Ok(ReqType::Set(set(rest)?)),
        "delete" => {
            let (allow_partial, paths) = partial(rest)?;
            Ok(ReqType::Delete(Delete { allow_partial, obj_paths: owned(paths) }))
        }
        "instances" => {
            let first_level_only = rest.first() == Some(&"first");
            let paths = &rest[usize::from(first_level_only)..];
            Ok(ReqType::GetInstances(GetInstances { obj_paths: owned(paths), first_level_only }))
        }
        "supported" => Ok(ReqType::GetSupportedDm(supported(rest))),
        "protocol" => Ok(ReqType::GetSupportedProtocol(GetSupportedProtocol {
            controller_supported_protocol_versions: rest.concat(),
        })),
        "operate" => operate(rest).map(ReqType::Operate),
        other => Err(format!("{other:?} is no request")),
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn partial<'a, 'b>(words: &'b [&'a str]) -> Result<(bool, &'b [&'a str]), String> {
    match words.split_first() {
        Some((&"atomic", rest)) => Ok((false, rest)),
        Some((&"partial", rest)) => Ok((true, rest)),
        other => Err(format!("atomic or partial, not {other:?}")),
    }
}

fn get(words: &[&str]) -> Result<Get, String> {
    let depth = words.first().and_then(|word| word.strip_prefix("depth="));
    let max_depth = depth.map_or(Ok(0), str::parse).map_err(|_| "depth=NUMBER")?;
    Ok(Get { param_paths: owned(&words[usize::from(depth.is_some())..]), max_depth })
}

/// Name, value, and whether it is required.
fn setting(word: &str) -> Result<(String, String, bool), String> {
    let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is no NAME=VALUE"))?;
    let bare = name.strip_suffix('!');
    Ok((bare.unwrap_or(name).to_owned(), value.to_owned(), bare.is_some()))
}

type Settings = Vec<(String, String, bool)>;

fn objects(words: &[&str]) -> Result<Vec<(String, Settings)>, String> {
    let object = |words: &[&str]| {
        let (path, settings) = words.split_first().ok_or("an object is missing")?;
        let settings = settings.iter().map(|word| setting(word)).collect::<Result<_, _>>()?;
        Ok(((*path).to_owned(), settings))
    };
    words.split(|word| *word == ";").map(object).collect()
}

fn add(words: &[&str]) -> Result<Add, String> {
    let (allow_partial, rest) = partial(words)?;
    let create = |(obj_path, settings): (String, Settings)| {
        let setting = |(param, value, required)| add::CreateParamSetting { param, value, required };
        add::CreateObject { obj_path, param_settings: settings.into_iter().map(setting).collect() }
    };
    Ok(Add { allow_partial, create_objs: objects(rest)?.into_iter().map(create).collect() })
}

fn set(words: &[&str]) -> Result<Set, String> {
    let (allow_partial, rest) = partial(words)?;
    let update = |(obj_path, settings): (String, Settings)| {
        let setting = |(param, value, required)| set::UpdateParamSetting { param, value, required };
        set::UpdateObject { obj_path, param_settings: settings.into_iter().map(setting).collect() }
    };
    Ok(Set { allow_partial, update_objs: objects(rest)?.into_iter().map(update).collect() })
}

fn supported(words: &[&str]) -> GetSupportedDm {
    let options = ["first", "commands", "events", "params", "keys"];
    let has = |option: &str| words.contains(&option);
    let paths = words.iter().filter(|word| !options.contains(word)).map(|word| (*word).to_owned());
    GetSupportedDm {
        obj_paths: paths.collect(),
        first_level_only: has("first"),
        return_commands: has("commands"),
        return_events: has("events"),
        return_params: has("params"),
        return_unique_key_sets: has("keys"),
    }
}

fn operate(words: &[&str]) -> Result<Operate, String> {
    let (command, rest) = words.split_first().ok_or("a command is missing")?;
    let mut operate = Operate { command: (*command).to_owned(), send_resp: true, ..Operate::default() };
    let (how, with) = rest.split_at(rest.iter().position(|word| *word == "with").unwrap_or(rest.len()));
    for word in how {
        match (*word, word.strip_prefix("key=")) {
            ("silent", _) => operate.send_resp = false,
            (_, Some(key)) => key.clone_into(&mut operate.command_key),
            (other, None) => return Err(format!("{other:?} is nothing that a command has")),
        }
    }
    for word in with.iter().skip(1) {
        let (name, value, _) = setting(word)?;
        operate.input_args.insert(name, value);
    }
    Ok(operate)
}
