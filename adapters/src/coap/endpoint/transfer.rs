//! One request and its answer, in as many blocks as they need (RFC 7959).

use super::request::{Failure, Request, Response};
use crate::coap::message::{Block, Code, Kind, Message, option};

/// Longest body that is put together.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// So often a transfer begins anew because the resource changed meanwhile, or a block was lost.
const RESTARTS: u8 = 2;

/// What a message of the device leads to.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// The next message is to be sent.
    Next,
    Done(Response),
    Failed(Failure),
}

/// The progress of a request.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    request: Request,
    /// Size of the blocks of the body that is sent.
    exponent: u8,
    /// Where the next of them begins.
    offset: usize,
    /// Whether the body goes in blocks.
    in_blocks: bool,
    /// What has come so far, and how its next block is asked for.
    got: Option<Got>,
    restarts: u8,
}

/// The part of an answer that has come.
#[derive(Clone, Debug)]
struct Got {
    /// The first block with its options; its payload grows.
    first: Message,
    exponent: u8,
}

impl Transfer {
    /// A request of which nothing was sent.
    pub(crate) fn new(request: Request) -> Self {
        let exponent = request.manner.exponent.min(Block::LARGEST);
        let in_blocks = request.body.len() > Block { number: 0, more: false, exponent }.size();
        Self { request, exponent, offset: 0, in_blocks, got: None, restarts: 0 }
    }

    /// The rest of an answer whose first block has come.
    pub(crate) fn rest(request: Request, first: Message) -> Self {
        let mut transfer = Self::new(request);
        transfer.take(first);
        transfer
    }

    /// What is asked.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// Whether the next message is the first.
    pub(crate) fn is_first(&self) -> bool {
        self.got.is_none() && self.offset == 0
    }

    /// The next message, without its type, ID and token.
    pub(crate) fn message(&self) -> Message {
        let Request { method, resource, format, body, .. } = &self.request;
        let kind = if self.request.manner.confirmable { Kind::Confirmable } else { Kind::NonConfirmable };
        let mut message = Message { code: *method, ..Message::empty(kind, 0) };
        let texts = |number: u16, parts: &[String]| -> Vec<_> {
            parts.iter().map(|part| (number, part.as_bytes().to_vec())).collect()
        };
        message.options.extend(texts(option::URI_PATH, &resource.path));
        message.options.extend(texts(option::URI_QUERY, &resource.query));
        if let Some(format) = format.filter(|_| !body.is_empty()) {
            message = message.with_number(option::CONTENT_FORMAT, format.into());
        }
        if let Some(accept) = resource.accept {
            message = message.with_number(option::ACCEPT, accept.into());
        }
        if let Some(block) = self.wanted() {
            return message.with_number(option::BLOCK2, block.value());
        }
        self.with_body(message)
    }

    /// The block of the answer that is wanted next. Small ones are asked for from the first on; the usual size is not, for
    /// the sake of devices that do not know blocks.
    fn wanted(&self) -> Option<Block> {
        let Some(Got { first, exponent }) = &self.got else {
            let small = self.request.method == Code::GET && self.exponent < Block::LARGEST;
            return small.then_some(Block { number: 0, more: false, exponent: self.exponent });
        };
        let size = Block { number: 0, more: false, exponent: *exponent }.size();
        let number = u32::try_from(first.payload.len() / size).ok()?;
        Some(Block { number, more: false, exponent: *exponent })
    }

    fn sending(&self) -> Block {
        let size = Block { number: 0, more: false, exponent: self.exponent }.size();
        let number = u32::try_from(self.offset / size).unwrap_or(u32::MAX);
        Block { number, more: self.offset + size < self.request.body.len(), exponent: self.exponent }
    }

    fn with_body(&self, mut message: Message) -> Message {
        let body = &self.request.body;
        if !self.in_blocks {
            message.payload.clone_from(body);
            return message;
        }
        let block = self.sending();
        let end = (self.offset + block.size()).min(body.len());
        message.payload = body.get(self.offset..end).unwrap_or_default().to_vec();
        let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
        message.with_number(option::BLOCK1, block.value()).with_number(option::SIZE1, size)
    }

    /// Takes the answer to the last message in.
    pub(crate) fn handle(&mut self, message: Message) -> Step {
        let block1 = match message.block(option::BLOCK1) {
            Ok(block) => block,
            Err(malformed) => return garbled(malformed.to_string()),
        };
        if self.got.is_none()
            && !self.request.body.is_empty()
            && let Some(step) = self.handle_sent(&message, block1)
        {
            return step;
        }
        self.take(message)
    }

    /// What becomes of the body that is sent; `None`: all of it is there, and this is the answer.
    fn handle_sent(&mut self, message: &Message, block1: Option<Block>) -> Option<Step> {
        let sent = self.sending();
        match (message.code, block1) {
            (Code::TOO_LARGE, Some(asked)) if asked.exponent < self.exponent => {
                self.exponent = asked.exponent;
                self.in_blocks = true;
                Some(self.restart_sending())
            }
            (Code::INCOMPLETE, _) if self.in_blocks && self.restarts < RESTARTS => {
                self.restarts += 1;
                Some(self.restart_sending())
            }
            // "Go on" (RFC 7959, 2.9.1) is no success: the device has done nothing yet.
            (Code::CONTINUE, _) if !self.in_blocks => Some(garbled("it wants more than there is".to_owned())),
            _ if !self.in_blocks => None,
            (code, Some(block)) if code.is_success() && sent.more => Some(self.next_block(sent, block)),
            (code, None) if code.is_success() && sent.more => {
                Some(garbled("it took a part of the body for the whole".to_owned()))
            }
            (Code::CONTINUE, _) => Some(garbled("it wants more than there is".to_owned())),
            _ => None,
        }
    }

    fn next_block(&mut self, sent: Block, acknowledged: Block) -> Step {
        if acknowledged.number != sent.number {
            return garbled(format!("it acknowledges block {}, not {}", acknowledged.number, sent.number));
        }
        self.offset += sent.size();
        self.exponent = self.exponent.min(acknowledged.exponent);
        Step::Next
    }

    fn restart_sending(&mut self) -> Step {
        self.offset = 0;
        Step::Next
    }

    /// Takes a block of the answer, or all of it, in.
    fn take(&mut self, message: Message) -> Step {
        let block = match message.block(option::BLOCK2) {
            Ok(block) => block,
            Err(malformed) => return garbled(malformed.to_string()),
        };
        match (block, &self.got) {
            // It has not kept what it was asked for with an observation: once more, without one.
            (_, Some(_)) if message.code == Code::INCOMPLETE && self.restarts < RESTARTS => {
                self.request.observe = false;
                self.restart()
            }
            (_, Some(_)) if !message.code.is_success() => Step::Done(Response::of(&message)),
            (None, None) => Step::Done(Response::of(&message)),
            (None, Some(_)) => garbled("a block is missing".to_owned()),
            (Some(block), _) => self.take_block(message, block),
        }
    }

    fn take_block(&mut self, message: Message, block: Block) -> Step {
        if self.got.as_ref().is_some_and(|got| is_other(&got.first, &message)) {
            return self.restart();
        }
        let so_far = self.got.as_ref().map_or(0, |got| got.first.payload.len());
        if block.offset() != so_far || (block.more && message.payload.len() != block.size()) {
            return garbled("a block is missing".to_owned());
        }
        let announced = message.number(option::SIZE2).and_then(|size| usize::try_from(size).ok());
        if so_far + message.payload.len() > MAX_BODY || announced.is_some_and(|size| size > MAX_BODY) {
            return garbled(format!("it is longer than {MAX_BODY} bytes"));
        }
        let got = match self.got.take() {
            Some(mut got) => {
                got.first.payload.extend_from_slice(&message.payload);
                Got { exponent: block.exponent, ..got }
            }
            None => Got { first: message, exponent: block.exponent },
        };
        if !block.more {
            return Step::Done(Response::of(&got.first));
        }
        self.got = Some(got);
        Step::Next
    }

    /// The resource changed between two blocks.
    fn restart(&mut self) -> Step {
        self.got = None;
        self.restarts += 1;
        if self.restarts > RESTARTS {
            return garbled("it changes faster than it can be read".to_owned());
        }
        Step::Next
    }
}

/// Whether two blocks are of different representations.
fn is_other(first: &Message, next: &Message) -> bool {
    let differs = |number| first.option(number) != next.option(number);
    let sizes = (first.number(option::SIZE2), next.number(option::SIZE2));
    differs(option::ETAG)
        || differs(option::CONTENT_FORMAT)
        || matches!(sizes, (Some(first), Some(next)) if first != next)
}

fn garbled(what: String) -> Step {
    Step::Failed(Failure::Garbled(what))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::coap::endpoint::request::{Manner, Resource};

    fn resource() -> Resource {
        Resource { path: vec!["a".to_owned()], ..Resource::default() }
    }

    fn get() -> Transfer {
        Transfer::new(Request::get(resource(), Manner::new(Duration::from_secs(1))))
    }

    fn put(length: usize) -> Transfer {
        let body = (0..length).map(|at| at as u8).collect();
        let get = Request::get(resource(), Manner::new(Duration::from_secs(1)));
        Transfer::new(Request { method: Code::PUT, body, format: Some(42), ..get })
    }

    fn answer(code: u8) -> Message {
        Message { code: Code(code), ..Message::empty(Kind::Acknowledgement, 1) }
    }

    /// Block `number` of a body whose bytes are all `fill`.
    fn block2(number: u32, more: bool, exponent: u8, fill: u8, length: usize, etag: u8) -> Message {
        let block = Block { number, more, exponent };
        let mut message = answer(0x45).with_number(option::BLOCK2, block.value());
        message.options.push((option::ETAG, vec![etag]));
        Message { payload: vec![fill; length], ..message }
    }

    fn asked(transfer: &Transfer, number: u16) -> Option<(u32, bool, usize)> {
        let block = transfer.message().block(number).unwrap()?;
        Some((block.number, block.more, block.size()))
    }

    #[test]
    fn an_answer_is_put_together_from_its_blocks() {
        let mut transfer = get();
        assert_eq!(asked(&transfer, option::BLOCK2), None);
        assert_eq!(transfer.handle(block2(0, true, 2, 1, 64, 9)), Step::Next);
        assert_eq!(asked(&transfer, option::BLOCK2), Some((1, false, 64)));
        assert_eq!(transfer.handle(block2(1, true, 2, 2, 64, 9)), Step::Next);
        let Step::Done(response) = transfer.handle(block2(2, false, 2, 3, 5, 9)) else { panic!() };
        assert_eq!(response.body, [vec![1; 64], vec![2; 64], vec![3; 5]].concat());
    }

    #[test]
    fn going_on_is_no_success_of_a_body_in_one_piece() {
        assert!(matches!(put(8).handle(answer(0x5f)), Step::Failed(Failure::Garbled(_))), "2.31");
        assert!(matches!(put(8).handle(answer(0x44)), Step::Done(_)), "2.04");
    }

    #[test]
    fn blocks_that_get_smaller_are_asked_for_where_the_last_ended() {
        let mut transfer = get();
        assert_eq!(transfer.handle(block2(0, true, 6, 1, 1024, 9)), Step::Next);
        assert_eq!(transfer.handle(block2(8, true, 3, 2, 128, 9)), Step::Next, "1024 is 8 times 128");
        assert_eq!(asked(&transfer, option::BLOCK2), Some((9, false, 128)));
    }

    #[test]
    fn small_blocks_are_asked_for_from_the_first_on() {
        let manner = Manner { exponent: 2, ..Manner::new(Duration::from_secs(1)) };
        let transfer = Transfer::new(Request::get(resource(), manner));
        assert_eq!(asked(&transfer, option::BLOCK2), Some((0, false, 64)));
    }

    #[test]
    fn another_etag_begins_anew_and_not_for_ever() {
        let mut transfer = get();
        for etag in 0..3 {
            assert_eq!(transfer.handle(block2(0, true, 0, 1, 16, etag)), Step::Next);
            let step = transfer.handle(block2(1, false, 0, 1, 3, etag + 1));
            let ends = matches!(&step, Step::Failed(Failure::Garbled(text)) if text.contains("faster"));
            assert!(if etag < 2 { step == Step::Next } else { ends }, "{step:?}");
        }
        let mut calm = get();
        calm.handle(block2(0, true, 0, 1, 16, 1));
        calm.handle(block2(1, false, 0, 1, 3, 2));
        assert_eq!(asked(&calm, option::BLOCK2), None, "from the first block");
        let Step::Done(response) = calm.handle(block2(0, false, 0, 7, 3, 2)) else { panic!() };
        assert_eq!(response.body, [7, 7, 7], "nothing of the first representation is left");
    }

    #[test]
    fn a_block_that_is_missing_is_no_answer() {
        for wrong in
            [block2(2, false, 0, 1, 3, 1), block2(0, true, 0, 1, 16, 1), block2(1, true, 0, 1, 15, 1)]
        {
            let mut transfer = get();
            transfer.handle(block2(0, true, 0, 1, 16, 1));
            assert!(matches!(transfer.handle(wrong), Step::Failed(Failure::Garbled(_))));
        }
        let mut transfer = get();
        transfer.handle(block2(0, true, 0, 1, 16, 1));
        let gone = transfer.handle(answer(0x84));
        assert!(matches!(gone, Step::Done(Response { code: Code(0x84), .. })), "an error is an answer");
    }

    #[test]
    fn a_body_without_end_is_refused() {
        let mut transfer = get();
        let steps = (0..100).map(|number| transfer.handle(block2(number, true, 6, 1, 1024, 1)));
        let last = steps.take_while(|step| *step == Step::Next).count();
        assert_eq!(last, 64, "64 KiB");
        let announced = block2(0, true, 0, 1, 16, 1).with_number(option::SIZE2, 1_000_000);
        assert!(matches!(get().handle(announced), Step::Failed(Failure::Garbled(_))), "at once");
    }

    #[test]
    fn a_long_body_is_sent_in_blocks() {
        let mut transfer = put(2100);
        let again = |transfer: &Transfer| {
            let block = transfer.message().block(option::BLOCK1).unwrap().unwrap();
            answer(0x5f).with_number(option::BLOCK1, block.value())
        };
        assert_eq!(asked(&transfer, option::BLOCK1), Some((0, true, 1024)));
        assert_eq!(transfer.message().number(option::SIZE1), Some(2100));
        assert_eq!(transfer.handle(again(&transfer)), Step::Next);
        // Smaller ones are wanted from here on.
        let smaller = Block { number: 1, more: true, exponent: 4 };
        assert_eq!(transfer.handle(answer(0x5f).with_number(option::BLOCK1, smaller.value())), Step::Next);
        assert_eq!(asked(&transfer, option::BLOCK1), Some((8, false, 256)), "2048 is 8 times 256");
        assert_eq!(transfer.message().payload.len(), 52);
        assert!(matches!(transfer.handle(answer(0x44)), Step::Done(Response { code: Code(0x44), .. })));
    }

    #[test]
    fn a_body_that_is_too_large_at_once_is_sent_in_the_blocks_that_are_asked_for() {
        let mut transfer = put(100);
        assert_eq!(asked(&transfer, option::BLOCK1), None);
        let hint = Block { number: 0, more: false, exponent: 1 };
        assert_eq!(transfer.handle(answer(0x8d).with_number(option::BLOCK1, hint.value())), Step::Next);
        assert_eq!(asked(&transfer, option::BLOCK1), Some((0, true, 32)));
        assert!(matches!(put(100).handle(answer(0x8d)), Step::Done(_)), "no hint: a refusal");
    }

    #[test]
    fn a_device_that_lost_a_block_gets_all_of_them_again_and_not_for_ever() {
        let mut transfer = put(2000);
        let sent = transfer.message().block(option::BLOCK1).unwrap().unwrap();
        transfer.handle(answer(0x5f).with_number(option::BLOCK1, sent.value()));
        for _ in 0..RESTARTS {
            assert_eq!(transfer.handle(answer(0x88)), Step::Next);
            assert_eq!(asked(&transfer, option::BLOCK1), Some((0, true, 1024)));
        }
        assert!(matches!(transfer.handle(answer(0x88)), Step::Done(Response { code: Code(0x88), .. })));
    }

    #[test]
    fn acknowledgements_of_blocks_must_fit() {
        let other = Block { number: 5, more: true, exponent: 6 };
        let step = put(2000).handle(answer(0x5f).with_number(option::BLOCK1, other.value()));
        assert!(matches!(step, Step::Failed(_)), "another block");
        assert!(matches!(put(2000).handle(answer(0x44)), Step::Failed(_)), "a part taken for the whole");
    }
}
