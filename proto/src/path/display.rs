//! Writing paths: the inverse of reading them.

use std::fmt::{self, Display, Formatter, Write};

use super::{
    Component, Expression, Leaf, ListItem, Literal, Operator, Path, RelativeParam, Segment, SupportedPath,
    SupportedSegment,
};

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            write!(f, "{segment}")?;
            // `+` stands behind the name of the reference, before the dot.
            if !matches!(self.segments.get(index + 1), Some(Segment::Follow(_))) {
                f.write_char('.')?;
            }
        }
        write!(f, "{}", self.leaf)
    }
}

impl Display for Segment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Instance(number) => write!(f, "{number}"),
            Self::Wildcard => f.write_char('*'),
            Self::Search(expression) => write!(f, "[{expression}]"),
            Self::Follow(item) => write!(f, "{item}"),
        }
    }
}

impl Display for ListItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("+"),
            Self::Nth(n) => write!(f, "#{n}+"),
            Self::All => f.write_str("#*+"),
        }
    }
}

/// Without the dot before it: nothing for an Object, `Name`, `Name()` or `Name!`.
impl Display for Leaf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object => Ok(()),
            Self::Parameter(name) => write!(f, "{name}"),
            Self::Command(name) => write!(f, "{name}()"),
            Self::Event(name) => write!(f, "{name}!"),
        }
    }
}

/// Without the brackets.
impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, component) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("&&")?;
            }
            write!(f, "{component}")?;
        }
        Ok(())
    }
}

impl Display for Component {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, item) in &self.objects {
            match item {
                Some(item) => write!(f, "{name}{item}.")?,
                None => write!(f, "{name}.")?,
            }
        }
        write!(f, "{}{}{}", self.parameter, self.operator, self.value)
    }
}

impl Display for Operator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.quoted {
            write!(f, "\"{}\"", self.text.replace('%', "%25").replace('"', "%22"))
        } else {
            f.write_str(&self.text)
        }
    }
}

impl Display for SupportedPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            write!(f, "{segment}.")?;
        }
        write!(f, "{}", self.leaf)
    }
}

impl Display for SupportedSegment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::AnyInstance => f.write_str("{i}"),
            Self::Instance(number) => write!(f, "{number}"),
        }
    }
}

impl Display for RelativeParam {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for name in &self.objects {
            write!(f, "{name}.")?;
        }
        write!(f, "{}", self.parameter)
    }
}
