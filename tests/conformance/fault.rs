//! What broken Agents do, between the broker and the tester: every claimed case has to notice.
//!
//! ```text
//! drop TYPE           Messages of this type never arrive
//! twice TYPE          ... arrive twice
//! refuse TYPE         ... are an Error instead
//! accept              an Error is a success instead
//! lie TYPE            requests of this type are not carried out, and answered as if they were
//! say OLD NEW         what is told says something else
//! omit PATTERN        the first line that fits is not told
//! extra TYPE LINE     an answer of this type has one line more
//! invent LINE         a notification comes where none may come
//! reply               what must stay unanswered is answered
//! answer              a request that wants no answer is answered
//! shift SECONDS       everything comes that much later
//! ```

use usp_proto::err_code::ErrCode;
use usp_proto::message;
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{AddResp, DeleteResp, Msg, OperateResp, SetResp};
use usp_proto::usp::{add_resp, delete_resp, operate_resp, set_resp};

use crate::pattern::{Vars, one};

/// One fault, and whether it had anything to do yet.
#[derive(Clone, Debug)]
pub struct Fault {
    verb: String,
    rest: String,
    /// Whether it changed anything.
    pub struck: bool,
}

impl Fault {
    /// Reads what [the module](self) describes.
    pub fn parse(text: &str) -> Self {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let verbs = [
            "drop", "twice", "refuse", "accept", "lie", "say", "omit", "extra", "invent", "reply", "answer",
            "shift",
        ];
        assert!(verbs.contains(&verb), "{text:?} is no fault");
        Self { verb: verb.to_owned(), rest: rest.trim().to_owned(), struck: false }
    }

    fn is(&mut self, verb: &str) -> bool {
        let is = self.verb == verb;
        self.struck |= is;
        is
    }

    /// The answer to a request that is not even sent.
    pub fn instead(&mut self, msg_id: &str, request: &ReqType) -> Option<Msg> {
        let lies = self.verb == "lie" && self.rest == message::type_name(message::request_type(request));
        self.struck |= lies;
        lies.then(|| pretended(msg_id, request))
    }

    /// The answer to a request that wants none.
    pub fn unasked(&mut self, msg_id: &str, request: &ReqType) -> Option<Msg> {
        self.is("answer").then(|| pretended(msg_id, request))
    }

    /// What arrives instead of a Message; `request` is what it answers.
    pub fn arriving(&mut self, msg: Msg, request: Option<&ReqType>) -> Vec<Msg> {
        let fits = self.rest == message::name(&msg);
        let msg_id = message::msg_id(&msg).to_owned();
        match self.verb.as_str() {
            "drop" if fits => self.strike(Vec::new()),
            "twice" if fits => self.strike(vec![msg.clone(), msg]),
            "refuse" if fits => {
                self.strike(vec![message::error(&msg_id, ErrCode::INTERNAL_ERROR, "no", Vec::new())])
            }
            "accept" if message::name(&msg) == "Error" => match request {
                Some(request) => self.strike(vec![pretended(&msg_id, request)]),
                None => vec![msg],
            },
            _ => vec![msg],
        }
    }

    fn strike(&mut self, told: Vec<Msg>) -> Vec<Msg> {
        self.struck = true;
        told
    }

    /// What a notification that came already says instead.
    pub fn retold(&mut self, line: String) -> Option<String> {
        if self.verb == "drop" && self.rest == "Notify" {
            self.struck = true;
            return None;
        }
        self.told(vec![line]).into_iter().next()
    }

    /// What is told instead of these lines.
    pub fn told(&mut self, mut lines: Vec<String>) -> Vec<String> {
        match self.verb.as_str() {
            "say" => {
                let (old, new) = self.rest.split_once(' ').unwrap_or((&self.rest, ""));
                for line in &mut lines {
                    if line.contains(old) {
                        *line = line.replace(old, new);
                        self.struck = true;
                    }
                }
            }
            "omit" => {
                let fits = |line: &String| one(&self.rest, line, &Vars::new()).is_some();
                if let Some(at) = lines.iter().position(fits) {
                    lines.remove(at);
                    self.struck = true;
                }
            }
            "extra" => {
                let (kind, line) = self.rest.split_once(' ').unwrap_or((&self.rest, ""));
                if lines.first().is_some_and(|first| first.split(' ').next() == Some(kind)) {
                    lines.push(line.to_owned());
                    self.struck = true;
                }
            }
            _ => {}
        }
        lines
    }

    /// Whether a Message in a raw line never arrives.
    pub fn drops_line(&mut self, line: &str) -> bool {
        let drops = self.verb == "drop" && line.starts_with(&format!("record {}", self.rest));
        self.struck |= drops;
        drops
    }

    /// A notification that nobody sent.
    pub fn invented(&mut self) -> Option<String> {
        self.is("invent").then(|| self.rest.clone())
    }

    /// Whether something answers what must not be answered.
    pub fn replies(&mut self) -> bool {
        self.is("reply")
    }

    /// Seconds by which everything is late.
    pub fn late(&mut self) -> f64 {
        if self.is("shift") { self.rest.parse().unwrap() } else { 0.0 }
    }
}

/// A success for whatever is asked.
fn pretended(msg_id: &str, request: &ReqType) -> Msg {
    let response = match request {
        ReqType::Add(add) => {
            let result = |object: &usp_proto::usp::add::CreateObject| created(&object.obj_path);
            RespType::AddResp(AddResp { created_obj_results: add.create_objs.iter().map(result).collect() })
        }
        ReqType::Set(set) => {
            RespType::SetResp(SetResp { updated_obj_results: set.update_objs.iter().map(updated).collect() })
        }
        ReqType::Delete(delete) => RespType::DeleteResp(DeleteResp {
            deleted_obj_results: delete.obj_paths.iter().map(|path| deleted(path)).collect(),
        }),
        ReqType::Operate(operate) => {
            use operate_resp::operation_result::{OperationResp, OutputArgs};
            let done = Some(OperationResp::ReqOutputArgs(OutputArgs::default()));
            let result = operate_resp::OperationResult {
                executed_command: operate.command.clone(),
                operation_resp: done,
            };
            RespType::OperateResp(OperateResp { operation_results: vec![result] })
        }
        _ => RespType::NotifyResp(usp_proto::usp::NotifyResp::default()),
    };
    message::response(msg_id, response)
}

fn created(path: &str) -> add_resp::CreatedObjectResult {
    use add_resp::created_object_result::{OperationStatus, operation_status};
    let instantiated_path = format!("{}.999999.", path.trim_end_matches('.'));
    let done = operation_status::OperationSuccess { instantiated_path, ..Default::default() };
    let oper_status = Some(operation_status::OperStatus::OperSuccess(done));
    add_resp::CreatedObjectResult {
        requested_path: path.to_owned(),
        oper_status: Some(OperationStatus { oper_status }),
    }
}

fn updated(object: &usp_proto::usp::set::UpdateObject) -> set_resp::UpdatedObjectResult {
    use set_resp::updated_object_result::{OperationStatus, operation_status};
    let settings = object.param_settings.iter().map(|setting| (setting.param.clone(), setting.value.clone()));
    let row = set_resp::UpdatedInstanceResult {
        affected_path: object.obj_path.clone(),
        updated_params: settings.collect(),
        ..Default::default()
    };
    let done = operation_status::OperationSuccess { updated_inst_results: vec![row] };
    let oper_status = Some(operation_status::OperStatus::OperSuccess(done));
    set_resp::UpdatedObjectResult {
        requested_path: object.obj_path.clone(),
        oper_status: Some(OperationStatus { oper_status }),
    }
}

fn deleted(path: &str) -> delete_resp::DeletedObjectResult {
    use delete_resp::deleted_object_result::{OperationStatus, operation_status};
    let done =
        operation_status::OperationSuccess { affected_paths: vec![path.to_owned()], ..Default::default() };
    let oper_status = Some(operation_status::OperStatus::OperSuccess(done));
    delete_resp::DeletedObjectResult {
        requested_path: path.to_owned(),
        oper_status: Some(OperationStatus { oper_status }),
    }
}
