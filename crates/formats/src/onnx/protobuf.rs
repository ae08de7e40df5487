//! Messages in protobuf's wire format.

/// A message under construction.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Adds an integer field.
    pub(super) fn integer(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    /// Adds a 32-bit floating-point field.
    pub(super) fn float(&mut self, field: u64, value: f32) -> &mut Self {
        self.varint(field << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Adds a length-delimited field.
    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a string field.
    pub(super) fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    /// Adds a field that is a message itself.
    pub(super) fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_match_the_encoding_guide() {
        // The examples of protobuf's encoding guide: 150 in field 1, "testing" in field 2.
        let mut message = Message::default();
        message.integer(1, 150).text(2, "testing");
        assert_eq!(message.0, *b"\x08\x96\x01\x12\x07testing");
        // A fixed field of 32 bits has the wire type 5; 1.0 is 0x3f800000.
        let mut message = Message::default();
        message.float(2, 1.0);
        assert_eq!(message.0, *b"\x15\x00\x00\x80\x3f");
    }
}
