//! TR-106 data types with their rules, and the check of a text against them (7011, 7012).

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use usp_proto::err_code::ErrCode;
use usp_proto::tr106;

use crate::fault::Fault;

/// A TR-106 base type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// base64.
    Base64,
    /// boolean.
    Boolean,
    /// dateTime.
    DateTime,
    /// decimal.
    Decimal,
    /// hexBinary.
    HexBinary,
    /// int: 32 bit.
    Int,
    /// long: 64 bit.
    Long,
    /// string.
    String,
    /// unsignedInt: 32 bit.
    UnsignedInt,
    /// unsignedLong: 64 bit.
    UnsignedLong,
    /// A Service did not say.
    Unknown,
}

/// A Parameter's type and rules.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamType {
    /// Of the value, or of each item of a list.
    pub base: Base,
    /// Comma separated.
    pub list: bool,
    /// Most items of a list.
    pub most_items: Option<usize>,
    /// Lowest and highest number.
    pub range: (Option<Decimal>, Option<Decimal>),
    /// Shortest and longest text, in characters.
    pub length: (usize, Option<usize>),
    /// The only values; empty: any.
    pub values: Vec<String>,
}

impl ParamType {
    /// A type without rules.
    pub fn plain(base: Base) -> Self {
        Self {
            base,
            list: false,
            most_items: None,
            range: (None, None),
            length: (0, None),
            values: Vec::new(),
        }
    }

    /// Checks a text and brings it to its canonical form (`1` becomes `true`).
    pub fn accept(&self, text: &str) -> Result<String, Fault> {
        if !self.list {
            return self.accept_item(text);
        }
        let items: Result<Vec<String>, Fault> =
            tr106::split_list(text).map(|item| self.accept_item(item)).collect();
        if let (Ok(items), Some(most)) = (&items, self.most_items)
            && items.len() > most
        {
            let why = format!("{} items are more than the {most} allowed", items.len());
            return Err(Fault::new(ErrCode::INVALID_VALUE, why));
        }
        Ok(items?.join(","))
    }

    fn accept_item(&self, text: &str) -> Result<String, Fault> {
        let value = self.base.canonical(text).ok_or_else(|| {
            Fault::new(ErrCode::INVALID_TYPE, format!("'{text}' is not a valid {}", self.base))
        })?;
        self.check_rules(&value)?;
        Ok(value)
    }

    fn check_rules(&self, value: &str) -> Result<(), Fault> {
        let refuse = |why: String| Err(Fault::new(ErrCode::INVALID_VALUE, why));
        if !self.values.is_empty() && !self.values.iter().any(|v| v == value) {
            return refuse(format!("'{value}' is not one of {}", self.values.join(", ")));
        }
        let length = value.chars().count();
        if length < self.length.0 {
            return refuse(format!("'{value}' is shorter than {} characters", self.length.0));
        }
        if let Some(most) = self.length.1
            && length > most
        {
            return refuse(format!("{length} characters are more than the {most} allowed"));
        }
        self.check_range(value)
    }

    fn check_range(&self, value: &str) -> Result<(), Fault> {
        let (low, high) = self.range;
        if low.is_none() && high.is_none() {
            return Ok(());
        }
        let number = Decimal::from_str(value).unwrap_or_default();
        let why = match (low, high) {
            (Some(low), _) if number < low => format!("{value} is less than {low}"),
            (_, Some(high)) if number > high => format!("{value} is more than {high}"),
            _ => return Ok(()),
        };
        Err(Fault::new(ErrCode::INVALID_VALUE, why))
    }
}

impl Base {
    /// Whether `<` and its kin make sense.
    pub fn is_ordered(self) -> bool {
        self.is_number() || self == Self::DateTime
    }

    /// Whether it is a number.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Decimal | Self::Int | Self::Long | Self::UnsignedInt | Self::UnsignedLong)
    }

    /// Whether its constants in search expressions stand in quotes.
    pub fn is_text(self) -> bool {
        matches!(self, Self::String | Self::Unknown)
    }

    /// The canonical text of a value of this type; `None` if it is none.
    pub fn canonical(self, text: &str) -> Option<String> {
        match self {
            Self::String | Self::Unknown => Some(text.to_owned()),
            Self::Boolean => tr106::parse_bool(text).map(|b| b.to_string()),
            Self::Int => text.parse::<i32>().ok().map(|n| n.to_string()),
            Self::Long => text.parse::<i64>().ok().map(|n| n.to_string()),
            Self::UnsignedInt => text.parse::<u32>().ok().map(|n| n.to_string()),
            Self::UnsignedLong => text.parse::<u64>().ok().map(|n| n.to_string()),
            Self::Decimal if !is_decimal(text) => None,
            Self::Decimal => Decimal::from_str(text).ok().map(|n| n.normalize().to_string()),
            Self::DateTime => tr106::parse_datetime(text).map(|_| text.to_owned()),
            Self::Base64 => tr106::base64_decode(text).map(|_| text.to_owned()),
            Self::HexBinary => tr106::hex_decode(text).map(|_| text.to_owned()),
        }
    }

    /// What a Parameter of this type has when nothing else is known.
    pub fn zero(self) -> &'static str {
        match self {
            Self::Boolean => "false",
            Self::Int | Self::Long | Self::UnsignedInt | Self::UnsignedLong | Self::Decimal => "0",
            Self::DateTime => "0001-01-01T00:00:00Z",
            Self::String | Self::Base64 | Self::HexBinary | Self::Unknown => "",
        }
    }
}

/// Whether a text has the form of xsd:decimal (TR-106): a sign, digits and a point, and no exponent.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = [whole, part].iter().all(|half| half.bytes().all(|b| b.is_ascii_digit()));
    all_digits && !(whole.is_empty() && part.is_empty())
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base64 => "base64",
            Self::Boolean => "boolean",
            Self::DateTime => "dateTime",
            Self::Decimal => "decimal",
            Self::HexBinary => "hexBinary",
            Self::Int => "int",
            Self::Long => "long",
            Self::String => "string",
            Self::UnsignedInt => "unsignedInt",
            Self::UnsignedLong => "unsignedLong",
            Self::Unknown => "value",
        })
    }
}

impl FromStr for Base {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "base64" => Self::Base64,
            "boolean" => Self::Boolean,
            "dateTime" => Self::DateTime,
            "decimal" => Self::Decimal,
            "hexBinary" => Self::HexBinary,
            "int" => Self::Int,
            "long" => Self::Long,
            "string" => Self::String,
            "unsignedInt" => Self::UnsignedInt,
            "unsignedLong" => Self::UnsignedLong,
            other => return Err(format!("unknown type {other}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// xsd:decimal (TR-106).
    #[test]
    fn a_decimal_has_no_exponent() {
        for (text, value) in [("1.50", "1.5"), ("+1.5", "1.5"), (".5", "0.5"), ("1.", "1"), ("-0012", "-12")]
        {
            assert_eq!(Base::Decimal.canonical(text).as_deref(), Some(value), "{text}");
        }
        for text in
            ["1e5", "1E5", "1.5e-3", "1_000", "", ".", "+", "--1", "1.2.3", " 1", "NaN", "INF", "0x10"]
        {
            assert_eq!(Base::Decimal.canonical(text), None, "{text}");
        }
        let refused = ParamType::plain(Base::Decimal).accept("1e5").unwrap_err();
        assert_eq!(refused.code, ErrCode::INVALID_TYPE);
    }
}
