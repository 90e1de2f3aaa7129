//! What Controllers and Services say, in short.

use usp_core::input::ConnId;
use usp_proto::message;
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::get_supported_dm_resp::SupportedObjectResult;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{self, Notify};

use super::World;
use super::text;

/// `NAME=VALUE`; `NAME?=VALUE` is not required.
fn settings(params: &[&str]) -> Vec<(String, String, bool)> {
    let one = |p: &&str| {
        let (name, value) = p.split_once('=').unwrap();
        let (name, required) = name.strip_suffix('?').map_or((name, true), |n| (n, false));
        (name.to_owned(), value.to_owned(), required)
    };
    params.iter().map(one).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&t| t.to_owned()).collect()
}

/// A Get.
pub(crate) fn get(paths: &[&str], max_depth: u32) -> ReqType {
    ReqType::Get(usp::Get { param_paths: owned(paths), max_depth })
}

/// A Set.
pub(crate) fn set(allow_partial: bool, objects: &[(&str, &[&str])]) -> ReqType {
    let update = |(path, params): &(&str, &[&str])| usp::set::UpdateObject {
        obj_path: (*path).to_owned(),
        param_settings: settings(params)
            .into_iter()
            .map(|(param, value, required)| usp::set::UpdateParamSetting { param, value, required })
            .collect(),
    };
    ReqType::Set(usp::Set { allow_partial, update_objs: objects.iter().map(update).collect() })
}

/// An Add.
pub(crate) fn add(allow_partial: bool, objects: &[(&str, &[&str])]) -> ReqType {
    let create = |(path, params): &(&str, &[&str])| usp::add::CreateObject {
        obj_path: (*path).to_owned(),
        param_settings: settings(params)
            .into_iter()
            .map(|(param, value, required)| usp::add::CreateParamSetting { param, value, required })
            .collect(),
    };
    ReqType::Add(usp::Add { allow_partial, create_objs: objects.iter().map(create).collect() })
}

/// An Operate.
pub(crate) fn operate(command: &str, key: &str, args: &[&str]) -> ReqType {
    let input_args = settings(args).into_iter().map(|(n, v, _)| (n, v)).collect();
    ReqType::Operate(usp::Operate {
        command: command.to_owned(),
        command_key: key.to_owned(),
        send_resp: true,
        input_args,
    })
}

/// A GetSupportedDM with all details.
pub(crate) fn supported(paths: &[&str], first_level_only: bool) -> ReqType {
    ReqType::GetSupportedDm(usp::GetSupportedDm {
        obj_paths: owned(paths),
        first_level_only,
        return_commands: true,
        return_events: true,
        return_params: true,
        return_unique_key_sets: true,
    })
}

impl World {
    /// Get of one path, answered at once: its values and codes.
    pub(crate) fn get(&mut self, conn: ConnId, path: &str) -> String {
        text::answer(&self.ask(conn, get(&[path], 0)))
    }

    /// Set with allow_partial=false.
    pub(crate) fn set(&mut self, conn: ConnId, object: &str, params: &[&str]) -> String {
        text::answer(&self.ask(conn, set(false, &[(object, params)])))
    }

    /// Add with allow_partial=false.
    pub(crate) fn add(&mut self, conn: ConnId, table: &str, params: &[&str]) -> String {
        text::answer(&self.ask(conn, add(false, &[(table, params)])))
    }

    /// A Subscription that is on.
    pub(crate) fn subscribe(&mut self, conn: ConnId, id: &str, kind: &str, reference: &str) -> String {
        self.subscribe_with(conn, id, kind, reference, &[])
    }

    /// A Subscription with more settings; gives its path.
    pub(crate) fn subscribe_with(
        &mut self,
        conn: ConnId,
        id: &str,
        kind: &str,
        reference: &str,
        more: &[&str],
    ) -> String {
        let id = format!("ID={id}");
        let kind = format!("NotifType={kind}");
        let reference = format!("ReferenceList={reference}");
        let mut params = vec![&*id, &*kind, &*reference, "Enable=true"];
        params.extend(more);
        let made = self.add(conn, "Device.LocalAgent.Subscription.", &params);
        let row = made.split(' ').next().unwrap().to_owned();
        assert!(row.starts_with("Device.LocalAgent.Subscription."), "{made}");
        row
    }

    /// Delete with allow_partial=false.
    pub(crate) fn delete(&mut self, conn: ConnId, paths: &[&str]) -> String {
        self.delete_partial(conn, false, paths)
    }

    /// Delete.
    pub(crate) fn delete_partial(&mut self, conn: ConnId, allow_partial: bool, paths: &[&str]) -> String {
        let request = ReqType::Delete(usp::Delete { allow_partial, obj_paths: owned(paths) });
        text::answer(&self.ask(conn, request))
    }

    /// Operate, answered at once.
    pub(crate) fn operate(&mut self, conn: ConnId, command: &str, key: &str, args: &[&str]) -> String {
        text::answer(&self.ask(conn, operate(command, key, args)))
    }

    /// GetInstances.
    pub(crate) fn instances(&mut self, conn: ConnId, path: &str, first_level_only: bool) -> String {
        let request = usp::GetInstances { obj_paths: owned(&[path]), first_level_only };
        text::answer(&self.ask(conn, ReqType::GetInstances(request)))
    }

    /// GetSupportedDM of one path with all details.
    pub(crate) fn supported(&mut self, conn: ConnId, path: &str) -> String {
        text::answer(&self.ask(conn, supported(&[path], false)))
    }

    /// The same, in full.
    pub(crate) fn supported_objects(&mut self, conn: ConnId, path: &str) -> Vec<SupportedObjectResult> {
        let answer = self.ask(conn, supported(&[path], false));
        let Some(MsgBody::Response(response)) = message::body(&answer) else { panic!("{answer:?}") };
        let Some(RespType::GetSupportedDmResp(response)) = &response.resp_type else { panic!("{answer:?}") };
        response.req_obj_results[0].supported_objs.clone()
    }

    /// Register, answered at once.
    pub(crate) fn register(&mut self, conn: ConnId, allow_partial: bool, paths: &[&str]) -> String {
        let path = |p: &&str| usp::register::RegistrationPath { path: (*p).to_owned() };
        let reg_paths = paths.iter().map(path).collect();
        text::answer(&self.ask(conn, ReqType::Register(usp::Register { allow_partial, reg_paths })))
    }

    /// Deregister, answered at once.
    pub(crate) fn deregister(&mut self, conn: ConnId, paths: &[&str]) -> String {
        text::answer(&self.ask(conn, ReqType::Deregister(usp::Deregister { paths: owned(paths) })))
    }

    /// Takes the notifications that a Controller got, with their msg_ids.
    pub(crate) fn take_notifies(&mut self, conn: ConnId) -> Vec<(String, Notify)> {
        let is_notify = |r: &mut usp_proto::record::Record| {
            r.msg().is_some_and(|m| message::kind(m) == Some(usp::header::MsgType::Notify))
        };
        let taken = self.inbox.entry(conn).or_default().extract_if(.., is_notify);
        let of = |record: usp_proto::record::Record| {
            let msg = record.msg().cloned().unwrap();
            let msg_id = message::msg_id(&msg).to_owned();
            match msg.body.unwrap().msg_body.unwrap() {
                MsgBody::Request(usp::Request { req_type: Some(ReqType::Notify(notify)) }) => {
                    (msg_id, notify)
                }
                other => panic!("{other:?}"),
            }
        };
        taken.map(of).collect()
    }

    /// The same in short.
    pub(crate) fn notes(&mut self, conn: ConnId) -> Vec<String> {
        self.take_notifies(conn).iter().map(|(_, n)| text::notify(n)).collect()
    }

    /// A Controller confirms a notification.
    pub(crate) fn confirm(&mut self, conn: ConnId, msg_id: &str) {
        let response = RespType::NotifyResp(usp::NotifyResp { subscription_id: String::new() });
        self.send(conn, message::response(msg_id, response));
    }
}
