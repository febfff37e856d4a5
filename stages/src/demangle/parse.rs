//! Names of the Itanium C++ ABI (5.1, "External Names (a.k.a. Mangling)"), text to tree.
//!
//! A recursive descent over the grammar, one function a production, named after it. `None` means that the
//! text is not a mangled name (or uses what this parser does not know); then the whole name is shown as it is.
//!
//! Two things need memory beyond the grammar. *Substitutions*: every type and prefix read so far, numbered,
//! for `S_`, `S0_` ... *Template parameters*: `T_` stands for an argument of the template that the function
//! being read is; as the function's name comes before its parameters, the arguments are known when `T_` is
//! read, except in a conversion operator (`operator T<int>`), whose parameters are filled in afterwards.
//!
//! Invariants: recursion is at most [`NESTING_MAX`] deep, and no more than [`STEPS_MAX`] productions are tried
//! (where two readings are possible, both may have to be).

use super::tree::{Function, Id, Node, STANDARDS, Standard, Suffix, operator};

/// How deep productions may nest.
const NESTING_MAX: u32 = 256;
/// How many productions a name may take.
const STEPS_MAX: u32 = 1 << 18;

/// Reads one mangled name.
pub(super) struct Parser<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) substitutions: Vec<Id>,
    /// Arguments of the template whose function is being read; `None` outside of any.
    pub(super) arguments: Option<Vec<Id>>,
    /// Parameters met before their arguments: node and index.
    pub(super) forward: Vec<(Id, usize)>,
    /// Inside the type of a conversion operator, where `T_` comes before its argument.
    pub(super) permits_forward: bool,
    /// There, and not inside template arguments: `I` behind `T_` belongs to the operator.
    pub(super) in_conversion: bool,
    pub(super) in_lambda: bool,
    pub(super) nesting: u32,
    steps: u32,
}

/// A position to which the parser can go back.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    at: usize,
    substitutions: usize,
    nesting: u32,
}

/// A name, and what the function type behind it needs to know.
pub(super) struct Named {
    pub(super) id: Id,
    /// It ends in template arguments and is no constructor, destructor or conversion: a result type follows.
    has_result: bool,
    /// Qualifiers of `this`.
    suffixes: Vec<Suffix>,
}

impl<'a> Parser<'a> {
    /// A parser for `name`, which begins with `_Z`.
    pub(super) fn new(name: &'a [u8]) -> Parser<'a> {
        Parser {
            text: name,
            at: 0,
            nodes: Vec::with_capacity(name.len() / 2),
            substitutions: Vec::new(),
            arguments: None,
            forward: Vec::new(),
            permits_forward: false,
            in_conversion: false,
            in_lambda: false,
            nesting: 0,
            steps: 0,
        }
    }

    /// `_Z <encoding> [. <clone suffix>]...`, all of it.
    pub(super) fn mangled_name(&mut self) -> Option<Id> {
        self.expect(b"_Z")?;
        let mut id = self.encoding(true)?;
        while self.peek() == Some(b'.') {
            let suffix = self.clone_suffix()?;
            id = self.add(Node::Clone(id, suffix));
        }
        (self.at == self.text.len()).then_some(id)
    }

    /// `.constprop.0`: a word, then numbers.
    fn clone_suffix(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        if self.peek_at(1).is_some_and(is_word) {
            self.at += 2;
            while self.peek().is_some_and(is_word) {
                self.at += 1;
            }
        } else if !self.peek_at(1)?.is_ascii_digit() {
            return None;
        }
        while self.peek() == Some(b'.') && self.peek_at(1).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 2;
            while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += 1;
            }
        }
        Some(&self.text[start..self.at])
    }

    // The cursor.

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn accept(&mut self, expected: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    pub(super) fn expect(&mut self, expected: &[u8]) -> Option<()> {
        self.accept(expected).then_some(())
    }

    /// A place to go back to, for text that may have to be read as something else.
    pub(super) fn mark(&self) -> Mark {
        Mark { at: self.at, substitutions: self.substitutions.len(), nesting: self.nesting }
    }

    pub(super) fn rewind(&mut self, mark: Mark) {
        self.at = mark.at;
        self.substitutions.truncate(mark.substitutions);
        self.nesting = mark.nesting;
    }

    pub(super) fn add(&mut self, node: Node<'a>) -> Id {
        self.nodes.push(node);
        (self.nodes.len() - 1) as Id
    }

    pub(super) fn add_substitution(&mut self, node: Node<'a>) -> Id {
        let id = self.add(node);
        self.substitutions.push(id);
        id
    }

    pub(super) fn enter(&mut self) -> Option<()> {
        self.nesting += 1;
        self.steps += 1;
        (self.nesting <= NESTING_MAX && self.steps <= STEPS_MAX).then_some(())
    }

    pub(super) fn leave(&mut self) {
        self.nesting -= 1;
    }

    /// Digits, as bytes and as a number.
    pub(super) fn number(&mut self) -> Option<usize> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        std::str::from_utf8(&self.text[start..self.at]).ok()?.parse().ok()
    }

    /// `[<number>] _`, counted from 0: nothing is 0, `0` is 1.
    pub(super) fn index(&mut self) -> Option<usize> {
        if self.accept(b"_") {
            return Some(0);
        }
        let number = self.number()?;
        self.expect(b"_")?;
        number.checked_add(1)
    }

    /// Bytes up to an `E`, which is consumed.
    pub(super) fn until_end(&mut self) -> Option<&'a [u8]> {
        let length = memchr::memchr(b'E', &self.text[self.at..])?;
        let bytes = &self.text[self.at..self.at + length];
        self.at += length + 1;
        Some(bytes)
    }

    // Encodings.

    /// `<name> [<bare-function-type>]` or `<special-name>`. Of a local function, the result is not told.
    pub(super) fn encoding(&mut self, top_level: bool) -> Option<Id> {
        self.enter()?;
        let arguments = self.arguments.take();
        let forward = std::mem::take(&mut self.forward);
        let flags = (self.in_lambda, self.permits_forward, self.in_conversion);
        (self.in_lambda, self.permits_forward, self.in_conversion) = (false, false, false);
        let id = match self.peek()? {
            b'T' | b'G' => self.special_name()?,
            _ => self.function_or_data(top_level)?,
        };
        self.arguments = arguments;
        self.forward = forward;
        (self.in_lambda, self.permits_forward, self.in_conversion) = flags;
        self.leave();
        Some(id)
    }

    fn function_or_data(&mut self, top_level: bool) -> Option<Id> {
        let name = self.name(true)?;
        for (id, index) in std::mem::take(&mut self.forward) {
            let argument = Some(*self.arguments.as_ref()?.get(index)?);
            self.nodes[id as usize] = Node::Parameter { index, argument };
        }
        if matches!(self.peek(), None | Some(b'E' | b'.')) {
            return Some(name.id);
        }
        let result = if name.has_result { Some(self.type_()?) } else { None };
        let parameters = self.parameters()?;
        let result = result.filter(|_| top_level);
        let function = Function { result, parameters, suffixes: name.suffixes };
        let function = self.add(Node::Function(Box::new(function)));
        let arguments = self.arguments.take().map(|arguments| self.add(Node::Arguments(arguments)));
        Some(self.add(Node::Typed { name: name.id, function, arguments }))
    }

    /// Types up to the end of the function's type.
    pub(super) fn parameters(&mut self) -> Option<Vec<Id>> {
        let mut parameters = Vec::new();
        loop {
            match self.peek() {
                None | Some(b'E' | b'.' | b'Q') if !parameters.is_empty() => break,
                // The qualifier of a function type, `FivRE`; a reference type would go on.
                Some(b'R' | b'O') if self.peek_at(1) == Some(b'E') => break,
                _ => parameters.push(self.type_()?),
            }
        }
        if let [only] = parameters[..]
            && matches!(self.nodes[only as usize], Node::Text("void"))
        {
            parameters.clear();
        }
        Some(parameters)
    }

    /// `T...` and `G...` (5.1.4).
    fn special_name(&mut self) -> Option<Id> {
        let code = [self.next()?, self.next()?];
        let of_type = match &code {
            b"TV" => "vtable for ",
            b"TT" => "VTT for ",
            b"TI" => "typeinfo for ",
            b"TS" => "typeinfo name for ",
            b"TF" => "typeinfo fn for ",
            b"TA" => "template parameter object for ",
            _ => "",
        };
        if !of_type.is_empty() {
            let id = if code == *b"TA" { self.template_argument()? } else { self.type_()? };
            return Some(self.add(Node::Special(of_type, id)));
        }
        let node = match &code {
            b"Th" => {
                self.call_offset(b'h')?;
                Node::Special("non-virtual thunk to ", self.encoding(false)?)
            }
            b"Tv" => {
                self.call_offset(b'v')?;
                Node::Special("virtual thunk to ", self.encoding(false)?)
            }
            b"Tc" => {
                let first = self.next()?;
                self.call_offset(first)?;
                let second = self.next()?;
                self.call_offset(second)?;
                Node::Special("covariant return thunk to ", self.encoding(false)?)
            }
            b"TC" => {
                let derived = self.type_()?;
                self.number()?;
                self.expect(b"_")?;
                Node::ConstructionVtable(self.type_()?, derived)
            }
            b"TH" => Node::Special("TLS init function for ", self.name(true)?.id),
            b"TW" => Node::Special("TLS wrapper function for ", self.name(true)?.id),
            b"GV" => Node::Special("guard variable for ", self.name(true)?.id),
            b"GR" => {
                let name = self.name(true)?.id;
                // Some compilers leave the number out altogether.
                let number = if self.peek().is_none() { 0 } else { self.sequence()? };
                Node::ReferenceTemporary(name, number)
            }
            b"GA" => Node::Special("hidden alias for ", self.encoding(false)?),
            b"GT" => match self.next()? {
                b'n' => Node::Special("non-transaction clone for ", self.encoding(false)?),
                _ => Node::Special("transaction clone for ", self.encoding(false)?),
            },
            _ => return None,
        };
        Some(self.add(node))
    }

    /// The offsets of a thunk, which are not shown.
    fn call_offset(&mut self, kind: u8) -> Option<()> {
        let numbers = match kind {
            b'h' => 1,
            b'v' => 2,
            _ => return None,
        };
        for _ in 0..numbers {
            self.accept(b"n");
            self.number()?;
            self.expect(b"_")?;
        }
        Some(())
    }

    // Names.

    /// `<name>` (5.1.2). With `of_function`, template arguments become those that `T_` means.
    pub(super) fn name(&mut self, of_function: bool) -> Option<Named> {
        self.enter()?;
        let named = match self.peek()? {
            b'N' => self.nested_name(of_function)?,
            b'Z' => self.local_name(of_function)?,
            b'S' if self.peek_at(1) != Some(b't') => {
                let id = self.substitution(false)?;
                let id = if self.peek() == Some(b'I') { self.templated(id, of_function)? } else { id };
                Named { id, has_result: true, suffixes: Vec::new() }
            }
            first => {
                let scope = if first == b'S' {
                    self.at += 2;
                    Some(self.add(Node::Text("std")))
                } else {
                    None
                };
                let name = self.unqualified_name(None)?;
                let is_conversion = matches!(self.nodes[name as usize], Node::Conversion(_));
                let mut id = match scope {
                    Some(scope) => self.add(Node::Qualified(scope, name)),
                    None => name,
                };
                let is_template = self.peek() == Some(b'I');
                if is_template {
                    self.substitutions.push(id);
                    id = self.templated(id, of_function)?;
                }
                Named { id, has_result: is_template && !is_conversion, suffixes: Vec::new() }
            }
        };
        self.leave();
        Some(named)
    }

    /// `name <template-args>`, the arguments not yet read.
    pub(super) fn templated(&mut self, name: Id, of_function: bool) -> Option<Id> {
        let arguments = self.template_arguments(of_function)?;
        Some(self.add(Node::Template(name, arguments)))
    }

    /// `N [<CV-qualifiers>] [<ref-qualifier>] <prefix>... E`.
    fn nested_name(&mut self, of_function: bool) -> Option<Named> {
        self.expect(b"N")?;
        let mut suffixes = Vec::new();
        self.accept(b"H");
        while let Some(suffix) = self.cv_qualifier() {
            suffixes.insert(0, Suffix::Text(suffix));
        }
        if self.accept(b"R") {
            suffixes.push(Suffix::Text(" &"));
        } else if self.accept(b"O") {
            suffixes.push(Suffix::Text(" &&"));
        }
        let mut prefix: Option<Id> = None;
        let mut has_result = false;
        while !self.accept(b"E") {
            let mut is_substitution = false;
            let is_internal = self.peek() == Some(b'L');
            has_result = false;
            let id = match (self.peek()?, prefix) {
                (b'S', None) if self.peek_at(1) == Some(b't') => {
                    self.at += 2;
                    is_substitution = true;
                    self.add(Node::Text("std"))
                }
                (b'S', None) => {
                    is_substitution = true;
                    self.substitution(true)?
                }
                (b'T', None) => self.template_parameter()?,
                (b'D', None) if matches!(self.peek_at(1), Some(b't' | b'T')) => self.decltype()?,
                (b'I', Some(prefix)) => {
                    has_result = !self.is_untyped(prefix);
                    self.templated(prefix, of_function)?
                }
                // The initialiser of a data member: the prefix of a closure type.
                (b'M', Some(_)) => {
                    self.at += 1;
                    continue;
                }
                (_, None) => self.unqualified_name(None)?,
                (_, Some(scope)) => {
                    let name = self.unqualified_name(Some(scope))?;
                    self.add(Node::Qualified(scope, name))
                }
            };
            prefix = Some(id);
            // A variable of internal linkage is no prefix of its own for the closures of its initialiser.
            let is_end = match self.peek() {
                Some(b'M') => is_internal,
                next => next == Some(b'E'),
            };
            if !is_substitution && !is_end {
                self.substitutions.push(id);
            }
        }
        Some(Named { id: prefix?, has_result, suffixes })
    }

    /// Whether a function of this name has no result type in its encoding.
    fn is_untyped(&self, mut name: Id) -> bool {
        while let Node::Qualified(_, inner) | Node::Local(_, inner) | Node::Tagged(inner, _) =
            self.nodes[name as usize]
        {
            name = inner;
        }
        matches!(self.nodes[name as usize], Node::Constructor(_) | Node::Destructor(_) | Node::Conversion(_))
    }

    /// `Z <encoding> E <entity> [<discriminator>]`.
    fn local_name(&mut self, of_function: bool) -> Option<Named> {
        self.expect(b"Z")?;
        let scope = self.encoding(false)?;
        self.expect(b"E")?;
        if self.accept(b"s") {
            self.discriminator()?;
            let entity = self.add(Node::Text("string literal"));
            let id = self.add(Node::Local(scope, entity));
            return Some(Named { id, has_result: false, suffixes: Vec::new() });
        }
        let default_argument = if self.accept(b"d") { Some(self.index()?) } else { None };
        let mut named = self.name(of_function)?;
        self.discriminator()?;
        if let Some(number) = default_argument {
            named.id = self.add(Node::DefaultArgument(number, named.id));
        }
        named.id = self.add(Node::Local(scope, named.id));
        Some(named)
    }

    /// `_ <digit>` or `__ <number> _`: tells equal local names apart, and is not shown.
    fn discriminator(&mut self) -> Option<()> {
        if self.accept(b"__") {
            self.number()?;
            self.expect(b"_")?;
        } else if self.peek() == Some(b'_') && self.peek_at(1).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
            self.number()?;
        }
        Some(())
    }

    /// `<unqualified-name>` with its tags; `scope` is the class for constructors and destructors.
    pub(super) fn unqualified_name(&mut self, scope: Option<Id>) -> Option<Id> {
        let mut module = None;
        while self.accept(b"W") {
            self.accept(b"P");
            module = Some(self.source_bytes()?);
        }
        self.accept(b"F");
        while self.accept(b"L") {}
        let mut id = match self.peek()? {
            b'0'..=b'9' => self.source_name()?,
            b'C' | b'D' => self.constructor_or_binding(scope)?,
            b'U' => self.unnamed_type()?,
            b'a'..=b'z' => self.operator_name()?,
            _ => return None,
        };
        if let Some(module) = module {
            id = self.add(Node::Module(id, module));
        }
        while self.accept(b"B") {
            let tag = self.source_bytes()?;
            id = self.add(Node::Tagged(id, tag));
        }
        Some(id)
    }

    /// `<length> <identifier>`.
    pub(super) fn source_name(&mut self) -> Option<Id> {
        let name = self.source_bytes()?;
        // What compilers call the namespace without a name.
        let anonymous =
            matches!(name, [b'_', b'G', b'L', b'O', b'B', b'A', b'L', b'_', b'.' | b'_' | b'$', b'N', ..]);
        Some(self.add(if anonymous { Node::Text("(anonymous namespace)") } else { Node::Name(name) }))
    }

    pub(super) fn source_bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let name = self.text.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        (length > 0).then_some(name)
    }

    fn constructor_or_binding(&mut self, scope: Option<Id>) -> Option<Id> {
        if self.accept(b"DC") {
            let mut names = Vec::new();
            while !self.accept(b"E") {
                names.push(self.source_name()?);
            }
            return Some(self.add(Node::Binding(names)));
        }
        let class = self.class_name(scope?)?;
        match [self.next()?, self.next()?] {
            [b'C', b'I'] => {
                // Inherited: the number, then the base class, by whose name it goes.
                self.next()?;
                let base = self.type_()?;
                let class = self.class_name(base)?;
                Some(self.add(Node::Constructor(class)))
            }
            [b'C', b'1'..=b'5'] => Some(self.add(Node::Constructor(class))),
            [b'D', b'0'..=b'5'] => Some(self.add(Node::Destructor(class))),
            _ => None,
        }
    }

    /// The name a constructor has: the last of `scope`, without arguments and tags.
    fn class_name(&mut self, scope: Id) -> Option<Id> {
        let mut id = scope;
        loop {
            match self.nodes[id as usize] {
                Node::Qualified(_, name) | Node::Local(_, name) => id = name,
                Node::Template(name, _) | Node::Tagged(name, _) | Node::Module(name, _) => id = name,
                Node::Standard { abbreviation, .. } => return Some(self.add(Node::Text(abbreviation.class))),
                Node::Parameter { argument: Some(argument), .. } if argument < id => id = argument,
                _ => return Some(id),
            }
        }
    }

    /// `Ut [<number>] _` and `Ul <parameters> E [<number>] _` (5.1.8).
    fn unnamed_type(&mut self) -> Option<Id> {
        self.expect(b"U")?;
        match self.next()? {
            b't' => {
                let number = self.index()?;
                Some(self.add(Node::Unnamed(number)))
            }
            b'l' => {
                let in_lambda = std::mem::replace(&mut self.in_lambda, true);
                let parameters = self.parameters()?;
                self.in_lambda = in_lambda;
                self.expect(b"E")?;
                let number = self.index()?;
                Some(self.add(Node::Lambda(parameters, number)))
            }
            _ => None,
        }
    }

    fn operator_name(&mut self) -> Option<Id> {
        let code = [self.next()?, self.next()?];
        match code {
            [b'v', b'0'..=b'9'] => {
                let name = self.source_bytes()?;
                Some(self.add(Node::VendorOperator(name)))
            }
            [b'c', b'v'] => {
                let saved = (self.permits_forward, self.in_conversion);
                (self.permits_forward, self.in_conversion) = (true, true);
                let class = self.type_()?;
                (self.permits_forward, self.in_conversion) = saved;
                Some(self.add(Node::Conversion(class)))
            }
            [b'l', b'i'] => {
                let name = self.source_name()?;
                Some(self.add(Node::LiteralOperator(name)))
            }
            _ => Some(self.add(Node::Operator(operator(code)?))),
        }
    }

    /// `S_`, `S0_` ... or one of the well-known types. `in_prefix`: a constructor's name may follow.
    pub(super) fn substitution(&mut self, in_prefix: bool) -> Option<Id> {
        self.expect(b"S")?;
        let code = self.peek()?;
        if code == b'_' || code.is_ascii_digit() || code.is_ascii_uppercase() {
            let index = self.sequence()?;
            return self.substitutions.get(index).copied();
        }
        self.at += 1;
        let abbreviation: &'static Standard = STANDARDS.iter().find(|standard| standard.code == code)?;
        let in_full = in_prefix && matches!(self.peek(), Some(b'C' | b'D'));
        let mut id = self.add(Node::Standard { abbreviation, in_full });
        while self.accept(b"B") {
            let tag = self.source_bytes()?;
            id = self.add_substitution(Node::Tagged(id, tag));
        }
        Some(id)
    }

    /// `[<seq-id>] _`, base 36, counted from 0: nothing is 0, `0` is 1.
    fn sequence(&mut self) -> Option<usize> {
        let mut index = 0usize;
        let mut first = true;
        while let Some(byte) = self.next() {
            let digit = match byte {
                b'_' if first => return Some(0),
                b'_' => return index.checked_add(1),
                b'0'..=b'9' => byte - b'0',
                b'A'..=b'Z' => byte - b'A' + 10,
                _ => return None,
            };
            index = index.checked_mul(36)?.checked_add(digit.into())?;
            first = false;
        }
        None
    }
}
