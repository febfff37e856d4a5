//! Expressions in mangled names (Itanium C++ ABI 5.1.6): template arguments, array bounds, `decltype`.

use super::parse::Parser;
use super::tree::{Id, Node, Operands, Operator, operator};

impl<'a> Parser<'a> {
    /// `<expression>`.
    pub(super) fn expression(&mut self) -> Option<Id> {
        self.enter()?;
        let id = self.expression_inner()?;
        self.leave();
        Some(id)
    }

    fn expression_inner(&mut self) -> Option<Id> {
        match (self.peek()?, self.peek_at(1)) {
            (b'L', _) => self.literal(),
            (b'T', _) => self.template_parameter(),
            (b'0'..=b'9', _) => self.base_name(),
            (b's', Some(b'r')) => self.scope_resolution(),
            (b'o', Some(b'n')) => {
                self.accept(b"on");
                self.base_name()
            }
            (b's', Some(b'p')) => {
                self.accept(b"sp");
                let pattern = self.expression()?;
                Some(self.add(Node::Expansion(pattern)))
            }
            (b'f', Some(b'p' | b'L')) if self.is_function_parameter() => self.function_parameter(),
            (b'f', Some(b'l' | b'r' | b'L' | b'R')) => self.fold(),
            (b'c', Some(b'v')) => self.cast(),
            (b'i', Some(b'l')) => {
                self.accept(b"il");
                let operands = self.operands()?;
                Some(self.add(Node::Braced(None, operands)))
            }
            (b't', Some(b'l')) => {
                self.accept(b"tl");
                let class = self.type_()?;
                let operands = self.operands()?;
                Some(self.add(Node::Braced(Some(class), operands)))
            }
            (b'g', Some(b's')) => {
                self.accept(b"gs");
                let inner = self.expression()?;
                Some(self.add(Node::Global(inner)))
            }
            (first, Some(second)) => {
                let operator = operator([first, second])?;
                self.next()?;
                self.next()?;
                self.operation(operator)
            }
            _ => None,
        }
    }

    fn operation(&mut self, operator: &'static Operator) -> Option<Id> {
        let node = match operator.operands {
            Operands::None => Node::Nullary(operator),
            Operands::Unary => match &operator.code {
                b"sZ" => Node::PackLength(self.expression()?),
                b"sP" => {
                    let mut arguments = Vec::new();
                    while !self.accept(b"E") {
                        arguments.push(self.template_argument_of_expression()?);
                    }
                    let arguments = self.add(Node::Arguments(arguments));
                    Node::PackLength(arguments)
                }
                _ => Node::Unary(operator, self.expression()?),
            },
            Operands::Step if self.accept(b"_") => Node::Unary(operator, self.expression()?),
            Operands::Step => Node::Postfix(operator, self.expression()?),
            Operands::Type => Node::Unary(operator, self.type_()?),
            Operands::Binary => {
                let left = self.expression()?;
                Node::Binary(operator, left, self.expression()?)
            }
            Operands::NamedCast => {
                let class = self.type_()?;
                Node::Binary(operator, class, self.expression()?)
            }
            Operands::Member => {
                let left = self.expression()?;
                Node::Binary(operator, left, self.member()?)
            }
            Operands::Call => {
                let callee = self.expression()?;
                let operands = self.operands()?;
                let operands = self.add(Node::Operands(operands));
                Node::Binary(operator, callee, operands)
            }
            Operands::Conditional => {
                let condition = self.expression()?;
                let yes = self.expression()?;
                Node::Trinary(operator, condition, yes, self.expression()?)
            }
            Operands::New => {
                let mut placement = Vec::new();
                while !self.accept(b"_") {
                    placement.push(self.expression()?);
                }
                let class = self.type_()?;
                let initializer = if self.accept(b"E") {
                    None
                } else if self.accept(b"pi") {
                    let operands = self.operands()?;
                    Some(self.add(Node::Operands(operands)))
                } else {
                    Some(self.expression()?)
                };
                Node::New { placement, class, initializer }
            }
        };
        Some(self.add(node))
    }

    fn template_argument_of_expression(&mut self) -> Option<Id> {
        match self.peek()? {
            b'L' => self.literal(),
            b'X' => {
                self.next()?;
                let id = self.expression()?;
                self.expect(b"E")?;
                Some(id)
            }
            _ => self.type_(),
        }
    }

    /// Expressions up to an `E`.
    fn operands(&mut self) -> Option<Vec<Id>> {
        let mut operands = Vec::new();
        while !self.accept(b"E") {
            operands.push(self.expression()?);
        }
        Some(operands)
    }

    /// What stands right of `.` or `->`.
    fn member(&mut self) -> Option<Id> {
        match (self.peek()?, self.peek_at(1)) {
            (b'0'..=b'9', _) => self.base_name(),
            (b's', Some(b'r')) => self.scope_resolution(),
            (b'o', Some(b'n')) => {
                self.accept(b"on");
                self.base_name()
            }
            (b'd', Some(b'n')) => self.destructor_name(),
            (b'C' | b'D', _) => None,
            _ => self.expression(),
        }
    }

    /// `dn <type>`: a destructor by the name of its class.
    fn destructor_name(&mut self) -> Option<Id> {
        self.expect(b"dn")?;
        let class = if self.peek()?.is_ascii_digit() { self.base_name()? } else { self.type_()? };
        Some(self.add(Node::Destructor(class)))
    }

    /// A name with template arguments perhaps.
    fn base_name(&mut self) -> Option<Id> {
        let id = self.unqualified_name(None)?;
        self.with_arguments(id)
    }

    fn with_arguments(&mut self, id: Id) -> Option<Id> {
        if self.peek() != Some(b'I') {
            return Some(id);
        }
        let arguments = self.template_arguments(false)?;
        Some(self.add(Node::Template(id, arguments)))
    }

    /// `sr ...`: a name inside a class or namespace that depends on a parameter, or that looked so.
    fn scope_resolution(&mut self) -> Option<Id> {
        self.expect(b"sr")?;
        let start = self.mark();
        // Two ways to write the scope are in use, and only what follows tells which one it was: a type (the
        // older), or names up to an `E`, behind an `N` if the first is a type.
        let scoped = match self.peek()? {
            b'0'..=b'9' => self.names_and_base().or_else(|| {
                self.rewind(start);
                self.type_and_base()
            }),
            b'N' => self.type_and_base().or_else(|| {
                self.rewind(start);
                self.expect(b"N")?;
                let scope = self.type_()?;
                let scope = self.with_arguments(scope)?;
                let scope = self.scopes(Some(scope))?;
                Some((scope, self.base_or_destructor()?))
            }),
            _ => self.type_and_base(),
        };
        let (scope, name) = scoped?;
        Some(match self.nodes[name as usize] {
            // The arguments belong to the whole name, which matters for parentheses.
            Node::Template(base, arguments) => {
                let qualified = self.add(Node::Qualified(scope, base));
                self.add(Node::Template(qualified, arguments))
            }
            _ => self.add(Node::Qualified(scope, name)),
        })
    }

    fn type_and_base(&mut self) -> Option<(Id, Id)> {
        let scope = self.type_()?;
        let scope = self.with_arguments(scope)?;
        Some((scope, self.base_or_destructor()?))
    }

    fn names_and_base(&mut self) -> Option<(Id, Id)> {
        let scope = self.scopes(None)?;
        Some((scope, self.base_or_destructor()?))
    }

    fn base_or_destructor(&mut self) -> Option<Id> {
        if self.peek() == Some(b'd') && self.peek_at(1) == Some(b'n') {
            return self.destructor_name();
        }
        self.accept(b"on");
        self.base_name()
    }

    /// `<simple-id>... E`, each inside the one before.
    fn scopes(&mut self, mut scope: Option<Id>) -> Option<Id> {
        while !self.accept(b"E") {
            let name = self.source_name()?;
            let name = match scope {
                Some(scope) => self.add(Node::Qualified(scope, name)),
                None => name,
            };
            scope = Some(self.with_arguments(name)?);
        }
        scope
    }

    fn is_function_parameter(&self) -> bool {
        self.peek_at(1) == Some(b'p') || self.peek_at(2).is_some_and(|byte| byte.is_ascii_digit())
    }

    /// `fp [<qualifiers>] [<number>] _`, `fL <level> p ...`, `fpT`.
    fn function_parameter(&mut self) -> Option<Id> {
        if self.accept(b"fpT") {
            return Some(self.add(Node::FunctionParameter(0)));
        }
        if self.accept(b"fL") {
            self.number()?;
            self.expect(b"p")?;
        } else {
            self.expect(b"fp")?;
        }
        while matches!(self.peek()?, b'r' | b'V' | b'K') {
            self.next()?;
        }
        let index = self.index()?;
        Some(self.add(Node::FunctionParameter(index.checked_add(1)?)))
    }

    /// `fl`, `fr`, `fL`, `fR`, an operator, one or two operands.
    fn fold(&mut self) -> Option<Id> {
        self.expect(b"f")?;
        let kind = self.next()?;
        let operator = operator([self.next()?, self.next()?])?;
        let first = self.expression()?;
        let (left, right) = match kind {
            b'l' => (None, Some(first)),
            b'r' => (Some(first), None),
            _ => {
                let second = self.expression()?;
                let node = Node::Fold(operator, Some(first), Some(second));
                return Some(self.add(node));
            }
        };
        Some(self.add(Node::Fold(operator, left, right)))
    }

    /// `cv <type> <expression>` or `cv <type> _ <expression>... E`.
    fn cast(&mut self) -> Option<Id> {
        self.expect(b"cv")?;
        let class = self.type_()?;
        let operand = if self.accept(b"_") {
            let operands = self.operands()?;
            self.add(Node::Operands(operands))
        } else {
            self.expression()?
        };
        Some(self.add(Node::Cast(class, operand)))
    }

    /// `L <type> <value> E`, `L _Z <encoding> E`.
    pub(super) fn literal(&mut self) -> Option<Id> {
        self.expect(b"L")?;
        if self.accept(b"_Z") || self.accept(b"Z") {
            let id = self.encoding(true)?;
            self.expect(b"E")?;
            return Some(id);
        }
        let class = self.type_()?;
        if matches!(self.nodes[class as usize], Node::Text("decltype(nullptr)")) && self.accept(b"E") {
            return Some(class);
        }
        let value = self.until_end()?;
        Some(self.add(Node::Literal(class, value)))
    }
}
