//! Pages made from templates.

use tera::{Context, Tera};

const HELLO: &str = "<!doctype html>
<title>{% block title %}Hello{% endblock title %}</title>
<p>Hello, {{ name | upper }}!</p>
<ul>{% for letter in letters %}<li>{{ letter }}</li>{% endfor %}</ul>
";

/// The templates of the service, parsed once.
pub struct Pages(Tera);

impl Pages {
    /// Parses all templates.
    pub fn new() -> anyhow::Result<Pages> {
        let mut tera = Tera::new();
        tera.add_raw_template("hello.html", HELLO)?;
        Ok(Pages(tera))
    }

    /// The page that greets `name`.
    pub fn hello(&self, name: &str) -> anyhow::Result<String> {
        let mut context = Context::new();
        context.insert("name", name);
        context.insert("letters", &name.chars().map(String::from).collect::<Vec<_>>());
        Ok(self.0.render("hello.html", &context)?)
    }
}
