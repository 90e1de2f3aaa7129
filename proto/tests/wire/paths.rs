//! Paths: displaying is the inverse of reading, over everything that the grammar allows.

use proptest::collection::vec;
use proptest::prelude::*;
use usp_proto::path::*;

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![9 => "[A-Za-z_][A-Za-z0-9_]{0,8}", 1 => "X_[A-Z0-9-]{1,6}_[A-Za-z]{1,6}"]
        .prop_map(|n| Name::new(&n).unwrap())
}

fn item() -> impl Strategy<Value = ListItem> {
    prop_oneof![Just(ListItem::First), (1u32..).prop_map(ListItem::Nth), Just(ListItem::All)]
}

fn literal() -> impl Strategy<Value = Literal> {
    let bare = prop_oneof![
        "[+-]?[0-9]{1,9}(\\.[0-9]{1,4})?",
        "true|false",
        "([0-9A-F]{2}){1,4}",
        any::<i64>().prop_map(usp_proto::tr106::format_datetime),
    ];
    let quoted = prop_oneof![".{0,12}", "[%25\"]{0,9}"];
    prop_oneof![
        bare.prop_map(|text| Literal { text, quoted: false }),
        quoted.prop_map(|text| Literal { text, quoted: true })
    ]
}

fn operator() -> impl Strategy<Value = Operator> {
    use Operator::*;
    prop::sample::select(vec![Equal, NotEqual, Contains, Less, Greater, LessOrEqual, GreaterOrEqual])
}

fn component() -> impl Strategy<Value = Component> {
    (vec((name(), prop::option::of(item())), 0..3), name(), operator(), literal())
        .prop_map(|(objects, parameter, operator, value)| Component { objects, parameter, operator, value })
}

/// A name, and what may stand behind it.
fn step() -> impl Strategy<Value = Vec<Segment>> {
    let behind = prop_oneof![
        4 => Just(None),
        2 => (1u32..).prop_map(|n| Some(Segment::Instance(n))),
        1 => Just(Some(Segment::Wildcard)),
        1 => vec(component(), 1..4).prop_map(|c| Some(Segment::Search(Expression(c)))),
        1 => item().prop_map(|i| Some(Segment::Follow(i))),
    ];
    (name(), behind).prop_map(|(name, behind)| std::iter::once(Segment::Name(name)).chain(behind).collect())
}

fn leaf() -> impl Strategy<Value = Leaf> {
    prop_oneof![
        Just(Leaf::Object),
        name().prop_map(Leaf::Parameter),
        name().prop_map(Leaf::Command),
        name().prop_map(Leaf::Event)
    ]
}

fn path() -> impl Strategy<Value = Path> {
    (name(), vec(step(), 0..6), leaf()).prop_map(|(root, steps, leaf)| {
        let segments = std::iter::once(Segment::Name(root)).chain(steps.into_iter().flatten()).collect();
        Path { segments, leaf }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_path_is_read_as_it_was_displayed(path in path()) {
        let text = path.to_string();
        prop_assert_eq!(Path::parse(&text), Ok(path));
    }

    #[test]
    fn any_supported_path_is_read_as_it_was_displayed(path in path()) {
        if let Some(supported) = path.to_supported() {
            let text = supported.to_string();
            prop_assert_eq!(SupportedPath::parse(&text), Ok(supported));
        }
    }

    #[test]
    fn any_row_has_a_reference(path in path()) {
        let object = Path { leaf: Leaf::Object, ..path };
        prop_assert_eq!(Path::parse_reference(&object.to_reference()), Ok(object));
    }

    #[test]
    fn spaces_make_no_difference(component in component(), spaces in "[ \t]{0,3}") {
        let Component { parameter, operator, value, .. } = &component;
        let spaced = format!("Device.A.[{spaces}{parameter}{spaces}{operator}{spaces}{value}{spaces}].");
        let tight = format!("Device.A.[{parameter}{operator}{value}].");
        prop_assert_eq!(Path::parse(&spaced), Path::parse(&tight));
    }

    #[test]
    fn an_error_points_into_the_text(path in path(), at in any::<prop::sample::Index>(), c in any::<char>()) {
        let mut chars: Vec<char> = path.to_string().chars().collect();
        let at = at.index(chars.len());
        chars[at] = c;
        let text: String = chars.into_iter().collect();
        match Path::parse(&text) {
            Ok(path) => prop_assert_eq!(Path::parse(&path.to_string()), Ok(path)),
            Err(error) => prop_assert!(text.is_char_boundary(error.offset), "{} in {:?}", error, text),
        }
    }
}
