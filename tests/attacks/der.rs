//! DER as a tree that may be changed at will.

/// A value; constructed ones hold others.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Primitive(u8, Vec<u8>),
    Constructed(u8, Vec<Node>),
}

pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

impl Node {
    /// Reads one value with definite lengths.
    pub fn parse(bytes: &[u8]) -> Self {
        let (node, rest) = Self::read(bytes);
        assert!(rest.is_empty(), "one value");
        node
    }

    fn read(bytes: &[u8]) -> (Self, &[u8]) {
        let (tag, first) = (bytes[0], usize::from(bytes[1]));
        let count = first.saturating_sub(0x80);
        let long = bytes[2..2 + count].iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
        let size = if count == 0 { first } else { long };
        let (content, rest) = bytes[2 + count..].split_at(size);
        if tag & 0x20 == 0 {
            return (Self::Primitive(tag, content.to_vec()), rest);
        }
        let mut nodes = Vec::new();
        let mut inner = content;
        while !inner.is_empty() {
            let (node, after) = Self::read(inner);
            nodes.push(node);
            inner = after;
        }
        (Self::Constructed(tag, nodes), rest)
    }

    pub fn encode(&self) -> Vec<u8> {
        let (tag, content) = match self {
            Self::Primitive(tag, content) => (*tag, content.clone()),
            Self::Constructed(tag, nodes) => (*tag, nodes.iter().flat_map(Self::encode).collect()),
        };
        let size = content.len();
        let mut bytes = vec![tag];
        match u8::try_from(size) {
            Ok(short @ 0..=0x7f) => bytes.push(short),
            _ => {
                let long = size.to_be_bytes();
                let skip = long.iter().take_while(|&&byte| byte == 0).count();
                bytes.push(0x80 | u8::try_from(long.len() - skip).unwrap());
                bytes.extend(&long[skip..]);
            }
        }
        bytes.extend(content);
        bytes
    }

    /// The value behind these positions.
    pub fn at(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |node, &index| &mut node.children()[index])
    }

    /// The first of the values inside: the type of an attribute.
    pub fn kind(&self) -> Option<Self> {
        match self {
            Self::Constructed(_, nodes) => nodes.first().cloned(),
            Self::Primitive(..) => None,
        }
    }

    pub fn children(&mut self) -> &mut Vec<Self> {
        match self {
            Self::Constructed(_, nodes) => nodes,
            Self::Primitive(..) => panic!("a primitive value has no children"),
        }
    }
}

pub fn sequence(nodes: Vec<Node>) -> Node {
    Node::Constructed(SEQUENCE, nodes)
}

pub fn set(nodes: Vec<Node>) -> Node {
    Node::Constructed(SET, nodes)
}

pub fn octets(bytes: &[u8]) -> Node {
    Node::Primitive(4, bytes.to_vec())
}

pub fn integer(bytes: &[u8]) -> Node {
    Node::Primitive(2, bytes.to_vec())
}

pub fn null() -> Node {
    Node::Primitive(5, Vec::new())
}

/// An object identifier from its content.
pub fn oid(content: &[u8]) -> Node {
    Node::Primitive(6, content.to_vec())
}

/// `1.2.840.113549.1` and what follows: PKCS and S/MIME.
pub fn pkcs(rest: &[u8]) -> Node {
    oid(&[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01], rest].concat())
}

/// `2.16.840.1.101.3.4.2.n`: 1 SHA-256, 2 SHA-384, 3 SHA-512.
pub fn sha2(number: u8) -> Node {
    oid(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, number])
}
