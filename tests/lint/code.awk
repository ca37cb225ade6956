# Blanks out comments and the insides of strings and characters, keeping every
# line and column, so that the rules see code only.  With -v keep_strings=1
# strings stay.
function blank(n,   s) { s = ""; while (n-- > 0) s = s " "; return s }
BEGIN { state = "code" }
FNR == 1 { state = "code" }
{
	line = $0; out = ""; n = length(line)
	for (i = 1; i <= n; i++) {
		c = substr(line, i, 1); two = substr(line, i, 2)
		if (state == "comment") {
			if (two == "*/") { state = "code"; out = out "  "; i++ }
			else out = out (c == "\t" ? "\t" : " ")
		} else if (state == "string" || state == "char") {
			if (c == "\\") { out = out (keep_strings ? two : "  "); i++ }
			else if ((state == "string" && c == "\"") || (state == "char" && c == "'")) { state = "code"; out = out c }
			else out = out (keep_strings ? c : " ")
		} else if (two == "/*") { state = "comment"; out = out "  "; i++ }
		else if (two == "//") break
		else {
			if (c == "\"") state = "string"
			else if (c == "'") state = "char"
			out = out c
		}
	}
	if (state == "string" || state == "char") state = "code"
	print FILENAME ":" FNR ":" out
}
