//! Any Message and any Record that the schema allows, made from bytes: each byte is one choice, and none left means the
//! smallest choice, so that fewer and smaller bytes give simpler Messages.

use proptest::prelude::*;
use protox::prost_reflect::prost::Message as _;
use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};

/// The schema that is committed.
pub(crate) fn schema() -> DescriptorPool {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schema");
    let files = protox::compile(["usp-record.proto", "usp-msg.proto"], [folder]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

/// Encodings of the message `name`, all its oneofs filled.
pub(crate) fn encoded(name: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let descriptor = schema().get_message_by_name(name).unwrap();
    proptest::collection::vec(any::<u8>(), 0..400).prop_map(move |bytes| {
        let mut choices = Choices(bytes.into_iter());
        choices.message(&descriptor).encode_to_vec()
    })
}

struct Choices(std::vec::IntoIter<u8>);

impl Choices {
    fn byte(&mut self) -> u8 {
        self.0.next().unwrap_or(0)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    fn message(&mut self, descriptor: &MessageDescriptor) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for oneof in descriptor.oneofs() {
            let fields: Vec<_> = oneof.fields().collect();
            let field = &fields[self.below(fields.len())];
            message.set_field(field, self.single(&field.kind()));
        }
        for field in descriptor.fields().filter(|f| f.containing_oneof().is_none()) {
            if self.is_needed(&field) || self.byte() & 1 == 1 {
                message.set_field(&field, self.field(&field));
            }
        }
        message
    }

    /// What has to be there for a Record or Message to be any.
    fn is_needed(&self, field: &FieldDescriptor) -> bool {
        matches!(field.name(), "header" | "body" | "oper_status" | "msg_id")
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let value = entry.map_entry_value_field().kind();
            return Value::Map(
                (0..self.below(4)).map(|_| (MapKey::String(self.text()), self.single(&value))).collect(),
            );
        }
        if field.is_list() {
            return Value::List((0..self.below(4)).map(|_| self.single(&field.kind())).collect());
        }
        match field.name() {
            "msg_id" => Value::String(format!("id{}", self.byte())),
            _ => self.single(&field.kind()),
        }
    }

    fn single(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => Value::Bool(self.byte() & 1 == 1),
            Kind::Fixed32 => {
                Value::U32(u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]))
            }
            Kind::Uint64 => Value::U64(u64::from(self.byte()) << self.below(57)),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes((0..self.below(20)).map(|_| self.byte()).collect()),
            Kind::Enum(values) => {
                let numbers: Vec<_> = values.values().map(|v| v.number()).collect();
                Value::EnumNumber(numbers[self.below(numbers.len())])
            }
            Kind::Message(descriptor) => Value::Message(self.message(descriptor)),
            other => panic!("the schema has no {other:?}"),
        }
    }

    fn text(&mut self) -> String {
        let alphabet = ['D', '.', 'é', '"', '\0', '1', '漢', ' '];
        (0..self.below(9)).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

#[test]
fn the_schema_is_complete() {
    let schema = schema();
    let count = |package: &str| {
        let messages: Vec<_> =
            schema.all_messages().filter(|m| m.package_name() == package && !m.is_map_entry()).collect();
        let enums = schema.all_enums().filter(|e| e.package_name() == package).count();
        (messages.len(), messages.iter().map(|m| m.fields().count()).sum::<usize>(), enums)
    };
    assert_eq!(count("usp_record"), (8, 27, 4));
    assert_eq!(count("usp"), (80, 205, 6));
}
