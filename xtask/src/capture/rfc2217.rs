//! Telnet's com port option, the client's side: bytes in, bytes out, nothing else.
//!
//! Sources: RFC 854 (commands, escaping), RFC 856 (binary), RFC 858 (suppress go ahead), RFC 2217 (com port control, section 3).

/// Telnet commands (RFC 854).
const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
const IAC: u8 = 255;
/// Options.
const BINARY: u8 = 0;
const SUPPRESS_GO_AHEAD: u8 = 3;
const COM_PORT: u8 = 44;
/// Client commands of RFC 2217, section 3.
const SET_BAUDRATE: u8 = 1;
const SET_DATASIZE: u8 = 2;
const SET_PARITY: u8 = 3;
const SET_STOPSIZE: u8 = 4;
const SET_CONTROL: u8 = 5;
/// Values of SET-CONTROL.
const NO_FLOW_CONTROL: u8 = 1;
const BREAK_ON: u8 = 5;
const BREAK_OFF: u8 = 6;

/// What the server said of the option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ComPort {
    /// Nothing yet.
    #[default]
    Offered,
    /// It takes commands.
    Agreed,
    /// It does not.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Data,
    Command,
    Option(u8),
    Sub,
    SubCommand,
}

/// One connection.
#[derive(Debug, Default)]
pub struct Telnet {
    state: State,
    com_port: ComPort,
    speed: u32,
    /// The server sends every byte as it is.
    binary_in: bool,
    /// It takes every byte as it is.
    binary_out: bool,
    after_cr: bool,
}

/// What came, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// Bytes of the line.
    pub data: Vec<u8>,
    /// What has to be sent to the server.
    pub reply: Vec<u8>,
}

impl Telnet {
    /// A connection that asks for this speed, with 8 data bits, no parity, one stop bit and no flow control.
    pub fn new(speed: u32) -> Self {
        Telnet {
            speed,
            ..Telnet::default()
        }
    }

    /// What is sent first.
    pub fn hello() -> Vec<u8> {
        [
            [IAC, WILL, BINARY],
            [IAC, DO, BINARY],
            [IAC, DO, SUPPRESS_GO_AHEAD],
            [IAC, WILL, COM_PORT],
        ]
        .concat()
    }

    /// What the server said of the option.
    pub fn com_port(&self) -> ComPort {
        self.com_port
    }

    /// Takes what came from the server, in pieces of any size.
    pub fn feed(&mut self, bytes: &[u8]) -> Came {
        let mut came = Came::default();
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (State::Data, IAC) => State::Command,
                (State::Data, _) => {
                    self.data(byte, &mut came.data);
                    State::Data
                }
                (State::Command, IAC) => {
                    self.data(byte, &mut came.data);
                    State::Data
                }
                (State::Command, SB) => State::Sub,
                (State::Command, WILL | WONT | DO | DONT) => State::Option(byte),
                (State::Command, _) => State::Data,
                (State::Option(verb), option) => {
                    self.option(verb, option, &mut came.reply);
                    State::Data
                }
                // Confirmations and notices of the server: nothing hangs on them.
                (State::Sub, IAC) => State::SubCommand,
                (State::Sub, _) => State::Sub,
                (State::SubCommand, SE) => State::Data,
                (State::SubCommand, _) => State::Sub,
            };
        }
        came
    }

    /// Without binary transmission a carriage return that means itself is followed by NUL (RFC 854, "The NVT printer").
    fn data(&mut self, byte: u8, data: &mut Vec<u8>) {
        let padding = self.after_cr && byte == 0 && !self.binary_in;
        self.after_cr = byte == b'\r';
        if !padding {
            data.push(byte);
        }
    }

    /// Answers only what was not asked by us: an answer to an answer would go on for ever (RFC 854, "(WILL, WON'T, DO, DON'T)").
    fn option(&mut self, verb: u8, option: u8, reply: &mut Vec<u8>) {
        match (verb, option) {
            (WILL, BINARY) => self.binary_in = true,
            (WONT, BINARY) => self.binary_in = false,
            (DO, BINARY) => self.binary_out = true,
            (DONT, BINARY) => self.binary_out = false,
            (DO, COM_PORT) if self.com_port != ComPort::Agreed => {
                self.com_port = ComPort::Agreed;
                reply.extend(self.settings());
            }
            (DONT, COM_PORT) => self.com_port = ComPort::Refused,
            (WILL | WONT, SUPPRESS_GO_AHEAD) | (_, COM_PORT) => {}
            (DO, SUPPRESS_GO_AHEAD) => reply.extend([IAC, WILL, option]),
            (DO, _) => reply.extend([IAC, WONT, option]),
            (WILL, _) => reply.extend([IAC, DONT, option]),
            _ => {}
        }
    }

    fn settings(&self) -> Vec<u8> {
        [
            command(SET_BAUDRATE, &self.speed.to_be_bytes()),
            command(SET_DATASIZE, &[8]),
            command(SET_PARITY, &[1]),
            command(SET_STOPSIZE, &[1]),
            command(SET_CONTROL, &[NO_FLOW_CONTROL]),
        ]
        .concat()
    }

    /// Bytes of the line as they are sent.
    pub fn encode(&self, bytes: &[u8]) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            encoded.push(byte);
            match byte {
                IAC => encoded.push(IAC),
                b'\r' if !self.binary_out => encoded.push(0),
                _ => {}
            }
        }
        encoded
    }

    /// The command that begins a BREAK, and the one that ends it.
    pub fn sending_break() -> (Vec<u8>, Vec<u8>) {
        (
            command(SET_CONTROL, &[BREAK_ON]),
            command(SET_CONTROL, &[BREAK_OFF]),
        )
    }
}

/// `IAC SB COM-PORT-OPTION <command> <value> IAC SE`; an IAC in the value is doubled.
fn command(command: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![IAC, SB, COM_PORT, command];
    for &byte in value {
        bytes.push(byte);
        if byte == IAC {
            bytes.push(IAC);
        }
    }
    bytes.extend([IAC, SE]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(telnet: &mut Telnet, bytes: &[u8]) -> Vec<u8> {
        telnet.feed(bytes).data
    }

    #[test]
    fn settings_follow_the_agreement_and_come_once() {
        let mut telnet = Telnet::new(1_500_000);
        let reply = telnet.feed(&[IAC, DO, COM_PORT]).reply;
        // 1500000 is 0x0016e360.
        assert!(reply.starts_with(&[IAC, SB, COM_PORT, 1, 0x00, 0x16, 0xe3, 0x60, IAC, SE]));
        assert_eq!(telnet.com_port(), ComPort::Agreed);
        assert_eq!(telnet.feed(&[IAC, DO, COM_PORT]).reply, b"");
    }

    #[test]
    fn a_speed_with_the_escape_in_it_is_escaped() {
        assert_eq!(
            command(SET_BAUDRATE, &[0, 0, IAC, 0]),
            [IAC, SB, 44, 1, 0, 0, IAC, IAC, 0, IAC, SE]
        );
    }

    #[test]
    fn commands_are_taken_out_wherever_a_piece_ends() {
        let stream = [
            &b"a"[..],
            &[IAC, SB, COM_PORT, 106, IAC, IAC, 7, IAC, SE],
            b"b",
            &[IAC, IAC],
            &[IAC, WILL, 1],
            b"c",
        ]
        .concat();
        for cut in 0..stream.len() {
            let mut telnet = Telnet::new(9600);
            let mut came = data(&mut telnet, &stream[..cut]);
            came.extend(data(&mut telnet, &stream[cut..]));
            assert_eq!(came, [b'a', b'b', IAC, b'c'], "cut at {cut}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_and_answers_are_not_answered() {
        let mut telnet = Telnet::new(9600);
        assert_eq!(telnet.feed(&[IAC, WILL, 1]).reply, [IAC, DONT, 1]);
        assert_eq!(telnet.feed(&[IAC, DO, 24]).reply, [IAC, WONT, 24]);
        assert_eq!(
            telnet
                .feed(&[IAC, WILL, SUPPRESS_GO_AHEAD, IAC, DO, BINARY, IAC, WONT, 9])
                .reply,
            b""
        );
        telnet.feed(&[IAC, DONT, COM_PORT]);
        assert_eq!(telnet.com_port(), ComPort::Refused);
    }

    #[test]
    fn carriage_returns_without_and_with_binary() {
        let mut telnet = Telnet::new(9600);
        assert_eq!(data(&mut telnet, b"x\r\0\ny\0"), b"x\r\ny\0");
        assert_eq!(telnet.encode(b"2\r"), b"2\r\0");
        telnet.feed(&[IAC, WILL, BINARY, IAC, DO, BINARY]);
        assert_eq!(data(&mut telnet, b"\r\0"), b"\r\0");
        assert_eq!(telnet.encode(&[b'\r', IAC]), [b'\r', IAC, IAC]);
    }
}
