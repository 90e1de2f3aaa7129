//! Search expressions: which rows meet one (R-ARC.9), by the type of the Parameter.

use std::cmp::Ordering;
use std::str::FromStr;

use rust_decimal::Decimal;
use usp_proto::err_code::ErrCode;
use usp_proto::path::{Component, Expression, Leaf, Literal, Name, Operator, Path, Segment};
use usp_proto::tr106;

use super::Model;
use super::compute::UNKNOWN_TIME;
use super::resolve::Found;
use super::rows::ObjRef;
use super::schema::{ObjId, Owner, Param};
use super::types::Base;
use crate::fault::Fault;

/// Whether whoever asks may look at a Parameter of an object: what may not be read meets nothing (R-GIN.0).
pub type MayRead<'a> = &'a dyn Fn(&ObjRef, &Name) -> bool;

impl Model {
    /// Whether a row meets an expression. A Parameter without a usable value meets nothing.
    ///
    /// Errors: 7026 for a Parameter that is not supported, 7008 for an operator or constant that does not fit its type.
    pub fn meets(&self, row: &ObjRef, expression: &Expression) -> Result<bool, Fault> {
        self.meets_for(row, expression, &|_, _| true)
    }

    /// The same for somebody who may not read everything.
    pub fn meets_for(
        &self,
        row: &ObjRef,
        expression: &Expression,
        may_read: MayRead<'_>,
    ) -> Result<bool, Fault> {
        let mut all = true;
        for component in &expression.0 {
            // Every component is looked at, so that a mistake is reported whatever the rows hold.
            all &= self.component_holds(row, component, may_read)?;
        }
        Ok(all)
    }

    /// Whether an expression can be evaluated on rows of this table at all.
    pub fn check_expression(&self, table: ObjId, expression: &Expression) -> Result<(), Fault> {
        for component in &expression.0 {
            let Some(object) = self.compared_object(table, component)? else { continue };
            let param = self.schema.get(object).and_then(|o| o.params.get(&component.parameter));
            let param = param.ok_or_else(|| {
                Fault::unsupported(format!("{} in a search expression", component.parameter))
            })?;
            Comparison::new(component, param)?;
        }
        Ok(())
    }

    /// Whether each search expression of a path can ever be evaluated, as far as the tables are the broker's own.
    ///
    /// Errors: as [`check_expression`](Self::check_expression).
    pub(crate) fn check_searches(&self, path: &Path) -> Result<(), Fault> {
        for (index, segment) in path.segments.iter().enumerate() {
            let (Segment::Search(expression), Some(row)) = (segment, path.segments.get(..=index)) else {
                continue;
            };
            let row = Path { segments: row.to_vec(), leaf: Leaf::Object }.to_supported();
            let table = row.and_then(|row| self.schema.find(&row.to_string()));
            let own = |id: &ObjId| self.schema.get(*id).is_some_and(|o| o.owner == Owner::Local);
            if let Some(table) = table.filter(own) {
                self.check_expression(table, expression)?;
            }
        }
        Ok(())
    }

    /// The supported object whose Parameter a component compares. `None`: a reference leads there, and nothing says to
    /// which table.
    fn compared_object(&self, table: ObjId, component: &Component) -> Result<Option<ObjId>, Fault> {
        let mut object = table;
        for (name, follow) in &component.objects {
            if follow.is_some() {
                match self.reference_target(object, name)? {
                    Some(target) => object = target,
                    None => return Ok(None),
                }
                continue;
            }
            let child = self.schema.get(object).and_then(|o| o.children.get(name));
            object = *child.ok_or_else(|| Fault::unsupported(format!("{name}. in a search expression")))?;
            if self.schema.get(object).is_some_and(|o| o.table) {
                let text =
                    format!("{name}. in a search expression is a table: rows of it cannot be compared");
                return Err(Fault::new(ErrCode::INVALID_PATH_SYNTAX, text));
            }
        }
        Ok(Some(object))
    }

    /// The table that a reference Parameter refers to, if the model says.
    ///
    /// Errors: 7026 when the Parameter is not supported, 7008 when its type cannot hold a reference.
    pub(crate) fn reference_target(&self, object: ObjId, name: &Name) -> Result<Option<ObjId>, Fault> {
        let supported = self.schema.get(object);
        let param = supported.and_then(|o| Some((o, o.params.get(name)?)));
        let path = supported.map_or("", |o| &*o.path);
        let (_, param) = param.ok_or_else(|| Fault::unsupported(format!("{path}{name}+")))?;
        if !param.ty.base.is_text() {
            let text = format!("{path}{name} is a {} and refers to nothing", param.ty.base);
            return Err(Fault::new(ErrCode::INVALID_PATH_SYNTAX, text));
        }
        Ok(param.reference.as_ref().and_then(|r| self.table(&r.table)))
    }

    /// The Parameters that a path's search expressions look at, with `*` for rows. `None`: one of them follows a
    /// reference of which it is not known where it leads.
    pub fn searched_parameters(&self, path: &Path) -> Option<Vec<Path>> {
        let mut found = Vec::new();
        for (index, segment) in path.segments.iter().enumerate() {
            let Segment::Search(expression) = segment else { continue };
            let mut row = path.segments.get(..index)?.to_vec();
            row.push(Segment::Wildcard);
            for component in &expression.0 {
                self.compared_parameters(row.clone(), component, &mut found)?;
            }
        }
        Some(found)
    }

    fn compared_parameters(
        &self,
        mut segments: Vec<Segment>,
        component: &Component,
        into: &mut Vec<Path>,
    ) -> Option<()> {
        for (name, follow) in &component.objects {
            if follow.is_none() {
                segments.push(Segment::Name(name.clone()));
                continue;
            }
            let object = Path { segments: segments.clone(), leaf: Leaf::Object }.to_supported()?.to_string();
            let param = self.schema.get(self.schema.find(&object)?)?.params.get(name)?;
            let table = Path::parse(&param.reference.as_ref()?.table).ok()?;
            into.push(Path { segments, leaf: Leaf::Parameter(name.clone()) });
            segments = table.segments;
            segments.push(Segment::Wildcard);
        }
        into.push(Path { segments, leaf: Leaf::Parameter(component.parameter.clone()) });
        Some(())
    }

    fn component_holds(
        &self,
        row: &ObjRef,
        component: &Component,
        may_read: MayRead<'_>,
    ) -> Result<bool, Fault> {
        let mut objects = vec![row.clone()];
        for (name, follow) in &component.objects {
            objects = match follow {
                None => objects.iter().filter_map(|at| self.child(at, name)).collect(),
                Some(item) => {
                    // What may not be read is not told by an error either.
                    objects.retain(|at| may_read(at, name));
                    let targets = self.follow(objects.iter(), name, *item)?;
                    objects.iter().try_for_each(|at| self.check_target(at, name))?;
                    targets
                }
            };
        }
        for at in &objects {
            let Some(object) = self.schema.get(at.object) else { continue };
            let param = object
                .params
                .get(&component.parameter)
                .ok_or_else(|| Fault::unsupported(format!("{}{}", object.path, component.parameter)))?;
            let comparison = Comparison::new(component, param)?;
            let value = self.text(at, &component.parameter).filter(|_| may_read(at, &component.parameter));
            if value.is_some_and(|value| comparison.holds(&value)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Rows are judged from memory, and what a Service holds is not in it.
    ///
    /// Errors: 7002 when a reference leads into a Service.
    fn check_target(&self, at: &ObjRef, name: &Name) -> Result<(), Fault> {
        let value = self.text(at, name).unwrap_or_default();
        let paths = tr106::split_list(&value).filter(|item| self.locate(item).is_none());
        let paths = paths.filter_map(|item| Path::parse(&format!("{}.", item.trim_end_matches('.'))).ok());
        for path in paths {
            if matches!(self.resolve(&path.segments), Ok(Found::Service(_))) {
                let text = format!(
                    "{}{name} leads to {path} of a Service: a search expression cannot look there; follow it in the path",
                    self.path(at)
                );
                return Err(Fault::new(ErrCode::REQUEST_DENIED, text));
            }
        }
        Ok(())
    }

    /// The single-instance object of this name below, if it exists.
    fn child(&self, at: &ObjRef, name: &Name) -> Option<ObjRef> {
        let id = self.schema.get(at.object)?.children.get(name)?;
        let child = ObjRef { object: *id, numbers: at.numbers.clone() };
        self.exists(&child).then_some(child)
    }
}

/// Whether an operator asks for an order.
fn ordered(operator: Operator) -> bool {
    use Operator::{Greater, GreaterOrEqual, Less, LessOrEqual};
    matches!(operator, Less | Greater | LessOrEqual | GreaterOrEqual)
}

fn is_unknown_time(text: &str) -> bool {
    tr106::parse_datetime(text).is_some_and(|time| tr106::parse_datetime(UNKNOWN_TIME) == Some(time))
}

/// A component, checked against the type of its Parameter.
struct Comparison<'a> {
    base: Base,
    list: bool,
    operator: Operator,
    constant: &'a str,
}

impl<'a> Comparison<'a> {
    fn new(component: &'a Component, param: &Param) -> Result<Self, Fault> {
        let Component { operator, value: Literal { text, quoted }, parameter, .. } = component;
        let (base, list) = (param.ty.base, param.ty.list);
        let wrong =
            |why: String| Err(Fault::new(ErrCode::INVALID_PATH_SYNTAX, format!("{parameter}: {why}")));
        let ordered = ordered(*operator);
        if list != (*operator == Operator::Contains) {
            return wrong(format!(
                "{operator} does not fit a {}",
                if list { "list" } else { "single value" }
            ));
        }
        if ordered && !base.is_ordered() {
            return wrong(format!("{operator} does not fit a {base}"));
        }
        if base == Base::DateTime && ordered && is_unknown_time(text) {
            return wrong(format!("{operator} does not fit the Unknown Time"));
        }
        // base64 has characters that go in quotes alone; for hexBinary both forms are in use.
        let either = matches!(base, Base::Unknown | Base::Base64 | Base::HexBinary);
        if *quoted != base.is_text() && !either {
            let hint = if base.is_text() { "in quotes" } else { "without quotes" };
            return wrong(format!("a {base} constant is written {hint}"));
        }
        if base.canonical(text).is_none() && !(base.is_number() && Decimal::from_str(text).is_ok()) {
            return wrong(format!("'{text}' is not a valid {base}"));
        }
        Ok(Self { base, list, operator: *operator, constant: text })
    }

    fn holds(&self, value: &str) -> bool {
        if self.list {
            return tr106::split_list(value).any(|item| self.compare(item) == Some(Ordering::Equal));
        }
        let Some(order) = self.compare(value) else { return false };
        match self.operator {
            // A time that is not known is neither before nor after another.
            _ if ordered(self.operator) && self.base == Base::DateTime && is_unknown_time(value) => false,
            Operator::Equal | Operator::Contains => order == Ordering::Equal,
            Operator::NotEqual => order != Ordering::Equal,
            Operator::Less => order == Ordering::Less,
            Operator::Greater => order == Ordering::Greater,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::GreaterOrEqual => order != Ordering::Less,
        }
    }

    fn compare(&self, value: &str) -> Option<Ordering> {
        match self.base {
            Base::Boolean => Some(tr106::parse_bool(value)?.cmp(&tr106::parse_bool(self.constant)?)),
            Base::DateTime => Some(tr106::parse_datetime(value)?.cmp(&tr106::parse_datetime(self.constant)?)),
            base if base.is_number() => {
                Some(Decimal::from_str(value).ok()?.cmp(&Decimal::from_str(self.constant).ok()?))
            }
            Base::HexBinary => Some(tr106::hex_decode(value)?.cmp(&tr106::hex_decode(self.constant)?)),
            Base::Base64 => Some(tr106::base64_decode(value)?.cmp(&tr106::base64_decode(self.constant)?)),
            _ => Some(value.cmp(self.constant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::schema::ParamAccess;
    use crate::dm::types::ParamType;

    /// Whether a value meets `P<rest>`; `None`: the expression does not fit the type.
    fn holds(base: Base, list: bool, rest: &str, value: &str) -> Option<bool> {
        let path = Path::parse(&format!("Device.T.[P{rest}].")).ok()?;
        let Some(Segment::Search(expression)) = path.segments.last() else { panic!("{rest}") };
        let ty = ParamType { list, ..ParamType::plain(base) };
        let access = ParamAccess::Read;
        let param = Param {
            ty,
            access,
            quiet: false,
            secured: false,
            default: None,
            reference: None,
            owner: Owner::Local,
        };
        Comparison::new(&expression.0[0], &param).ok().map(|comparison| comparison.holds(value))
    }

    #[test]
    fn every_type_has_its_operators_and_constants() {
        let (t, f) = (Some(true), Some(false));
        for (base, rest, value, expected) in [
            (Base::Boolean, "==1", "true", t),
            (Base::Boolean, "!=0", "true", t),
            (Base::Boolean, "==false", "0", t),
            (Base::Boolean, "<true", "false", None),
            (Base::Boolean, "==2", "true", None),
            (Base::Int, "==+05", "5", t),
            (Base::Int, ">-6", "-5", t),
            (Base::UnsignedInt, ">=-1", "0", t),
            (Base::UnsignedLong, "==18446744073709551615", "18446744073709551615", t),
            (Base::Long, "<=-9223372036854775808", "-9223372036854775808", t),
            (Base::Decimal, "==1.50", "1.5", t),
            (Base::Decimal, "<1.5", "1.49", t),
            (Base::Decimal, "==\"1.5\"", "1.5", None),
            (Base::Int, "==true", "1", None),
            (Base::String, "==\"a%22b%25\"", "a\"b%", t),
            (Base::String, "==\"A\"", "a", f),
            (Base::String, "==5", "5", None),
            (Base::String, "<\"a\"", "a", None),
            (Base::String, "~=\"a\"", "a", None),
            (Base::HexBinary, "==0aFF", "0AfF", t),
            (Base::HexBinary, "!=\"0aff\"", "0AFF", f),
            (Base::HexBinary, "==0af", "0a", None),
            (Base::Base64, "==\"AAE=\"", "AAE=", t),
            (Base::Base64, "==\"A\"", "AAE=", None),
            (Base::DateTime, "<2021-06-06T08:00:00Z", "2021-06-06T07:59:59.5Z", t),
            (Base::DateTime, "==2021-06-06T08:00:00Z", "2021-06-06T08:00:00.000Z", t),
            (Base::DateTime, "<2021-06-06T08:00:00Z", "0001-01-01T00:00:00Z", f),
            (Base::DateTime, "==0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", t),
            (Base::DateTime, ">0001-01-01T00:00:00Z", "2021-06-06T08:00:00Z", None),
            (Base::DateTime, "==\"2021-06-06T08:00:00Z\"", "2021-06-06T08:00:00Z", None),
        ] {
            assert_eq!(holds(base, false, rest, value), expected, "{base} {rest} {value}");
        }
    }

    #[test]
    fn a_list_contains_or_not() {
        for (base, rest, value, expected) in [
            (Base::UnsignedInt, "~=2", "1,2,3", Some(true)),
            (Base::UnsignedInt, "~=02", "1,2", Some(true)),
            (Base::UnsignedInt, "~=4", "1,2", Some(false)),
            (Base::String, "~=\"b\"", "a,b", Some(true)),
            (Base::String, "~=\"a,b\"", "a,b", Some(false)),
            (Base::String, "==\"a,b\"", "a,b", None),
            (Base::UnsignedInt, "~=\"2\"", "2", None),
        ] {
            assert_eq!(holds(base, true, rest, value), expected, "{base} {rest} {value}");
        }
    }
}
