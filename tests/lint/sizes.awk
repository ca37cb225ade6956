# Prints "PATH:FUNCTION LINES LINE" for every function of formatted C and
# "PATH LINES 1" for every file.  A function runs from the first line of its
# signature to its closing brace in column one.
FNR == 1 { if (file != "") print file, lines, 1; file = FILENAME; start = 0; inside = 0 }
{ lines = FNR }
inside {
	if ($0 == "}") { print FILENAME ":" name, FNR - start + 1, start; inside = 0; start = 0 }
	next
}
$0 == "{" && start > 0 {
	inside = 1
	name = head
	sub(/[ \t]*\(.*/, "", name)
	sub(/.*[ \t*]/, "", name)
	next
}
/^$/ || /^#/ || /^[}]/ || /;[ \t]*$/ || /^[ \t]*\/?\*/ { start = 0; next }
/^[A-Za-z_]/ { if (start == 0) { start = FNR; head = "" } }
start > 0 { head = head $0 }
END { if (file != "") print file, lines, 1 }
