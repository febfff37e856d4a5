//! Template parameters and arguments, and types (Itanium C++ ABI 5.1.5), text to tree.

use super::parse::Parser;
use super::tree::{Function, Id, Node, RefKind, Suffix, builtin, extended_builtin};

impl<'a> Parser<'a> {
    /// `T_`, `T0_` ..., `TL0__` ...
    pub(super) fn template_parameter(&mut self) -> Option<Id> {
        self.expect(b"T")?;
        let index = self.index()?;
        let argument = match &self.arguments {
            _ if self.in_lambda => None,
            _ if self.permits_forward => {
                self.forward.push((self.nodes.len() as Id, index));
                None
            }
            arguments => Some(*arguments.as_ref()?.get(index)?),
        };
        Some(self.add(Node::Parameter { index, argument }))
    }

    /// `I <template-arg>... E`.
    pub(super) fn template_arguments(&mut self, of_function: bool) -> Option<Id> {
        self.expect(b"I")?;
        self.enter()?;
        let in_conversion = std::mem::replace(&mut self.in_conversion, false);
        let in_lambda = std::mem::replace(&mut self.in_lambda, false);
        if of_function {
            self.arguments = Some(Vec::new());
        }
        let mut arguments = Vec::new();
        while !self.accept(b"E") {
            let argument = self.template_argument()?;
            arguments.push(argument);
            if of_function && let Some(known) = &mut self.arguments {
                known.push(argument);
            }
        }
        self.in_conversion = in_conversion;
        self.in_lambda = in_lambda;
        self.leave();
        Some(self.add(Node::Arguments(arguments)))
    }

    pub(super) fn template_argument(&mut self) -> Option<Id> {
        match self.peek()? {
            b'X' => {
                self.at += 1;
                let id = self.expression()?;
                self.expect(b"E")?;
                Some(id)
            }
            b'L' => self.literal(),
            b'I' => self.template_arguments(false),
            b'J' => {
                self.at += 1;
                let mut pack = Vec::new();
                while !self.accept(b"E") {
                    pack.push(self.template_argument()?);
                }
                Some(self.add(Node::Arguments(pack)))
            }
            _ => self.type_(),
        }
    }

    // Types.

    pub(super) fn cv_qualifier(&mut self) -> Option<&'static str> {
        let text = match self.peek()? {
            b'r' => " restrict",
            b'V' => " volatile",
            b'K' => " const",
            _ => return None,
        };
        self.at += 1;
        Some(text)
    }

    /// `<type>` (5.1.5).
    pub(super) fn type_(&mut self) -> Option<Id> {
        self.enter()?;
        let id = self.type_inner()?;
        self.leave();
        Some(id)
    }

    fn type_inner(&mut self) -> Option<Id> {
        let first = self.peek()?;
        if let Some(text) = builtin(first) {
            self.at += 1;
            return Some(self.add(Node::Text(text)));
        }
        match first {
            b'r' | b'V' | b'K' => self.qualified_type(),
            b'P' => {
                self.at += 1;
                let inner = self.type_()?;
                Some(self.add_substitution(Node::Pointer(inner)))
            }
            b'R' | b'O' => {
                self.at += 1;
                let inner = self.type_()?;
                let kind = if first == b'R' { RefKind::Lvalue } else { RefKind::Rvalue };
                Some(self.add_substitution(Node::Reference(inner, kind)))
            }
            b'C' | b'G' => {
                self.at += 1;
                let inner = self.type_()?;
                let text = if first == b'C' { " _Complex" } else { " _Imaginary" };
                Some(self.add_substitution(Node::Qualifier(inner, text)))
            }
            b'F' => self.function_type(Vec::new()),
            b'A' => self.array_type(),
            b'M' => {
                self.at += 1;
                let class = self.type_()?;
                let member = self.type_()?;
                Some(self.add_substitution(Node::MemberPointer(class, member)))
            }
            b'T' => {
                if matches!(self.peek_at(1), Some(b's' | b'u' | b'e')) {
                    self.at += 2;
                    return self.class_type();
                }
                let id = self.template_parameter()?;
                self.substitutions.push(id);
                if self.peek() == Some(b'I') && !self.in_conversion {
                    let arguments = self.template_arguments(false)?;
                    return Some(self.add_substitution(Node::Template(id, arguments)));
                }
                Some(id)
            }
            b'S' if self.peek_at(1) != Some(b't') => {
                let id = self.substitution(false)?;
                if self.peek() == Some(b'I') {
                    let arguments = self.template_arguments(false)?;
                    return Some(self.add_substitution(Node::Template(id, arguments)));
                }
                Some(id)
            }
            b'D' => self.extended_type(),
            b'U' if !matches!(self.peek_at(1), Some(b'l' | b't')) => {
                self.at += 1;
                let mut qualifier = self.source_name()?;
                if self.peek() == Some(b'I') {
                    let arguments = self.template_arguments(false)?;
                    qualifier = self.add(Node::Template(qualifier, arguments));
                }
                let inner = self.type_()?;
                Some(self.add_substitution(Node::VendorQualifier(inner, qualifier)))
            }
            b'u' => {
                self.at += 1;
                let mut id = self.source_name()?;
                if self.peek() == Some(b'I') {
                    let arguments = self.template_arguments(false)?;
                    id = self.add(Node::Template(id, arguments));
                }
                self.substitutions.push(id);
                Some(id)
            }
            _ => self.class_type(),
        }
    }

    fn class_type(&mut self) -> Option<Id> {
        let id = self.name(false)?.id;
        self.substitutions.push(id);
        Some(id)
    }

    /// Qualifiers and what they qualify; those of a function type are its own.
    fn qualified_type(&mut self) -> Option<Id> {
        let mut qualifiers = Vec::new();
        while let Some(qualifier) = self.cv_qualifier() {
            qualifiers.push(qualifier);
        }
        let is_function = match self.peek()? {
            b'F' => true,
            b'D' => matches!(self.peek_at(1), Some(b'o' | b'O' | b'w' | b'x')),
            _ => false,
        };
        if is_function {
            let suffixes = qualifiers.iter().rev().map(|text| Suffix::Text(text)).collect();
            return self.function_type(suffixes);
        }
        let mut id = self.type_()?;
        for qualifier in qualifiers.into_iter().rev() {
            id = self.add(Node::Qualifier(id, qualifier));
        }
        self.substitutions.push(id);
        Some(id)
    }

    /// `[<exception-spec>] [Dx] F [Y] <result> <parameters> [<ref-qualifier>] E`.
    fn function_type(&mut self, mut suffixes: Vec<Suffix>) -> Option<Id> {
        let mut exceptions = None;
        if self.accept(b"Do") {
            exceptions = Some(Suffix::Text(" noexcept"));
        } else if self.accept(b"DO") {
            exceptions = Some(Suffix::Noexcept(self.expression()?));
            self.expect(b"E")?;
        } else if self.accept(b"Dw") {
            let mut types = Vec::new();
            while !self.accept(b"E") {
                types.push(self.type_()?);
            }
            exceptions = Some(Suffix::Throw(self.add(Node::Arguments(types))));
        }
        let transaction_safe = self.accept(b"Dx");
        self.expect(b"F")?;
        self.accept(b"Y");
        let result = Some(self.type_()?);
        let parameters = self.parameters()?;
        if self.accept(b"R") {
            suffixes.push(Suffix::Text(" &"));
        } else if self.accept(b"O") {
            suffixes.push(Suffix::Text(" &&"));
        }
        if transaction_safe {
            suffixes.push(Suffix::Text(" transaction_safe"));
        }
        suffixes.extend(exceptions);
        self.expect(b"E")?;
        let function = Function { result, parameters, suffixes };
        Some(self.add_substitution(Node::Function(Box::new(function))))
    }

    /// `A [<number> or <expression>] _ <type>`.
    fn array_type(&mut self) -> Option<Id> {
        self.expect(b"A")?;
        let length = self.dimension()?;
        let element = self.type_()?;
        Some(self.add_substitution(Node::Array(element, length)))
    }

    /// A number or an expression, and `_`.
    fn dimension(&mut self) -> Option<Option<Id>> {
        if self.accept(b"_") {
            return Some(None);
        }
        let start = self.at;
        let id = if self.peek()?.is_ascii_digit() {
            self.number()?;
            let digits = &self.text[start..self.at];
            self.add(Node::Name(digits))
        } else {
            self.expression()?
        };
        self.expect(b"_")?;
        Some(Some(id))
    }

    /// `Dt <expression> E`.
    pub(super) fn decltype(&mut self) -> Option<Id> {
        self.at += 2;
        let expression = self.expression()?;
        self.expect(b"E")?;
        Some(self.add(Node::Decltype(expression)))
    }

    /// Types that begin with `D`.
    fn extended_type(&mut self) -> Option<Id> {
        match self.peek_at(1)? {
            b't' | b'T' => {
                let id = self.decltype()?;
                self.substitutions.push(id);
                Some(id)
            }
            b'p' => {
                self.at += 2;
                let pattern = self.type_()?;
                Some(self.add_substitution(Node::Expansion(pattern)))
            }
            b'o' | b'O' | b'w' | b'x' => self.function_type(Vec::new()),
            b'v' => {
                self.at += 2;
                // `Dv_ <expression> _` has its own underscore.
                self.accept(b"_");
                let length = self.dimension()??;
                let element = self.type_()?;
                Some(self.add_substitution(Node::Vector(element, length)))
            }
            b'F' => {
                self.at += 2;
                let bits = self.number()?;
                let text = match (bits, self.next()?) {
                    (16, b'b') => "std::bfloat16_t",
                    (16, b'_') => "_Float16",
                    (32, b'_') => "_Float32",
                    (64, b'_') => "_Float64",
                    (128, b'_') => "_Float128",
                    (32, b'x') => "_Float32x",
                    (64, b'x') => "_Float64x",
                    _ => return None,
                };
                Some(self.add(Node::Text(text)))
            }
            code => {
                let text = extended_builtin(code)?;
                self.at += 2;
                Some(self.add(Node::Text(text)))
            }
        }
    }
}
