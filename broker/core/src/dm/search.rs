//! Search expressions: which rows meet one (R-ARC.9), by the type of the Parameter.

use std::cmp::Ordering;
use std::str::FromStr;

use rust_decimal::Decimal;
use usp_proto::err_code::ErrCode;
use usp_proto::path::{Component, Expression, Leaf, Literal, Operator, Path, Segment};
use usp_proto::tr106;

use super::Model;
use super::rows::ObjRef;
use super::schema::Param;
use super::types::Base;
use crate::fault::Fault;

impl Model {
    /// Whether a row meets an expression. A Parameter without a usable value meets nothing.
    ///
    /// Errors: 7026 for a Parameter that is not supported, 7008 for an operator or constant that does not fit its type.
    pub fn meets(&self, row: &ObjRef, expression: &Expression) -> Result<bool, Fault> {
        let mut all = true;
        for component in &expression.0 {
            // Every component is looked at, so that a mistake is reported whatever the rows hold.
            all &= self.component_holds(row, component)?;
        }
        Ok(all)
    }

    /// Whether an expression can be evaluated on rows of this table at all.
    pub fn check_expression(&self, table: super::ObjId, expression: &Expression) -> Result<(), Fault> {
        for component in &expression.0 {
            if component.objects.iter().any(|(_, follow)| follow.is_some()) {
                continue;
            }
            let mut object = table;
            for (name, _) in &component.objects {
                let child = self.schema.get(object).and_then(|o| o.children.get(name));
                object =
                    *child.ok_or_else(|| Fault::unsupported(format!("{name}. in a search expression")))?;
            }
            let param = self.schema.get(object).and_then(|o| o.params.get(&component.parameter));
            let param = param.ok_or_else(|| {
                Fault::unsupported(format!("{} in a search expression", component.parameter))
            })?;
            Comparison::new(component, param)?;
        }
        Ok(())
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

    fn component_holds(&self, row: &ObjRef, component: &Component) -> Result<bool, Fault> {
        let mut objects = vec![row.clone()];
        for (name, follow) in &component.objects {
            objects = match follow {
                None => objects.iter().filter_map(|at| self.child(at, name)).collect(),
                Some(item) => objects.iter().flat_map(|at| self.follow(at, name, *item)).collect(),
            };
        }
        for at in &objects {
            let Some(object) = self.schema.get(at.object) else { continue };
            let param = object
                .params
                .get(&component.parameter)
                .ok_or_else(|| Fault::unsupported(format!("{}{}", object.path, component.parameter)))?;
            let comparison = Comparison::new(component, param)?;
            if self.text(at, &component.parameter).is_some_and(|value| comparison.holds(&value)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The single-instance object of this name below, if it exists.
    fn child(&self, at: &ObjRef, name: &usp_proto::path::Name) -> Option<ObjRef> {
        let id = self.schema.get(at.object)?.children.get(name)?;
        let child = ObjRef { object: *id, numbers: at.numbers.clone() };
        self.exists(&child).then_some(child)
    }
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
        let ordered = matches!(
            operator,
            Operator::Less | Operator::Greater | Operator::LessOrEqual | Operator::GreaterOrEqual
        );
        if list != (*operator == Operator::Contains) {
            return wrong(format!(
                "{operator} does not fit a {}",
                if list { "list" } else { "single value" }
            ));
        }
        if ordered && !base.is_ordered() {
            return wrong(format!("{operator} does not fit a {base}"));
        }
        if base == Base::DateTime && ordered && text.starts_with("0001-01-01T00:00:00") {
            return wrong(format!("{operator} does not fit the Unknown Time"));
        }
        if *quoted != base.is_text() && base != Base::Unknown {
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
            Base::HexBinary => Some(value.to_ascii_lowercase().cmp(&self.constant.to_ascii_lowercase())),
            _ => Some(value.cmp(self.constant)),
        }
    }
}
