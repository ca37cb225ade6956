# Makes unicode_table.c:
#   awk -f unicode_table.awk /usr/share/unicode/UnicodeData.txt > unicode_table.c
# (Debian: package unicode-data, original-awk or gawk).
BEGIN {
	FS = ";"
	n_names = split("Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cs", names, " ")
	for (i = 1; i <= n_names; i++) number[names[i]] = i - 1
	last = -1
}
function hex(s,    i, v) {
	v = 0
	for (i = 1; i <= length(s); i++) v = v * 16 + index("0123456789ABCDEF", substr(s, i, 1)) - 1
	return v
}
function change(cp, category) {
	if (category != current) {
		change_at[++n_changes] = cp
		change_to[n_changes] = category
		current = category
	}
}
{
	cp = hex($1)
	category = $3 == "Cs" ? 29 : number[$3]
	if ($2 ~ /Last>$/) {
		last = cp
		next
	}
	if (cp > last + 1) change(last + 1, 0)
	change(cp, category)
	last = cp
	mark[cp] = $3 == "Mn"
	if ($14 != "") {
		lower_from[++n_lower] = cp
		lower_to[n_lower] = hex($14)
	}
	if ($6 != "" && $6 !~ /^</) decomposition[cp] = $6
	order[++n_order] = cp
}
# Full canonical decomposition, marks dropped, as a list of numbers.
function expand(cp,    parts, n, i, out) {
	if (!(cp in decomposition)) return mark[cp] ? "" : cp " "
	n = split(decomposition[cp], parts, " ")
	out = ""
	for (i = 1; i <= n; i++) out = out expand(hex(parts[i]))
	return out
}
function row(text) {
	line = line text
	if (++column == per_row) {
		print "\t" line
		line = ""
		column = 0
	} else
		line = line " "
}
function rows_end() {
	if (column) print "\t" line
	line = ""
	column = 0
}
END {
	change(last + 1, 0)
	print "/* Unicode tables.  Made by unicode_table.awk: do not edit. */"
	print "/* clang-format off */"
	print "#include \"base/unicode_table.h\""
	print ""
	printf "const size_t unicode_changes_len = %d;\n", n_changes
	print "const uint32_t unicode_changes[] = {"
	per_row = 14
	for (i = 1; i <= n_changes; i++) row(sprintf("0x%X,", change_at[i] * 32 + change_to[i]))
	rows_end()
	print "};"
	# Runs of lower-case mappings with one distance and a step of 1 or 2.
	n_runs = 0
	for (i = 1; i <= n_lower; i = j) {
		d = lower_to[i] - lower_from[i]
		step = i < n_lower ? lower_from[i + 1] - lower_from[i] : 1
		if (step > 2) step = 1
		for (j = i + 1; j <= n_lower && lower_from[j] == lower_from[j - 1] + step && lower_to[j] - lower_from[j] == d; j++);
		run[++n_runs] = sprintf("{ 0x%X, 0x%X, %d, %d },", lower_from[i], lower_from[j - 1], d, step)
	}
	print ""
	printf "const size_t unicode_lowers_len = %d;\n", n_runs
	print "const struct unicode_lower_run unicode_lowers[] = {"
	per_row = 6
	for (i = 1; i <= n_runs; i++) row(run[i])
	rows_end()
	print "};"
	n_bases = 0
	for (i = 1; i <= n_order; i++) {
		cp = order[i]
		if (!(cp in decomposition)) continue
		n = split(expand(cp), parts, " ")
		text = sprintf("{ 0x%X, {", cp)
		for (k = 1; k <= 3; k++) text = text sprintf(" 0x%X%s", k <= n ? parts[k] : 0, k < 3 ? "," : "")
		base[++n_bases] = text " } },"
	}
	print ""
	printf "const size_t unicode_bases_len = %d;\n", n_bases
	print "const struct unicode_base_row unicode_bases[] = {"
	per_row = 6
	for (i = 1; i <= n_bases; i++) row(base[i])
	rows_end()
	print "};"
}
