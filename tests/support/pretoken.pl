#!/usr/bin/perl
# The oracle of pre-tokenizers: the published regular expressions, run by perl.
#
#   pretoken.pl NAME FILE     a line of piece lengths (bytes) for each text of
#                             FILE (NUL-ended), as tests/tools/compute_pretoken
#   pretoken.pl --texts N SEED    N random texts, NUL-ended, on standard output
#   pretoken.pl --names           the names it knows
use strict;
use warnings;
use utf8;

my $contraction = qr/'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]/;
my $tail = qr/\s*[\r\n]+|\s+(?!\S)|\s+/;
my $upper = qr/[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]/;
my $lower = qr/[\p{Ll}\p{Lm}\p{Lo}\p{M}]/;
my $lead = qr/[^\r\n\p{L}\p{N}]/;
my $llama3 = qr/(?:$contraction)|$lead?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|$tail/;
my $qwen2 = qr/(?:$contraction)|$lead?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|$tail/;
my $gpt2 = qr/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/;
my %stages = (
	'llama-bpe' => [$llama3],
	'dbrx' => [$llama3],
	'glm4' => [$llama3],
	'qwen2' => [$qwen2],
	'qwen35' => [qr/(?:$contraction)|$lead?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|$tail/],
	'gpt-2' => [$gpt2],
	'smollm' => [qr/\p{N}/, $gpt2],
	'gpt-4o' => [qr/$lead?$upper*$lower+(?:$contraction)?|$lead?$upper+$lower*(?:$contraction)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n\/]*|$tail/],
	'tekken' => [qr/$lead?$upper*$lower+|$lead?$upper+$lower*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n\/]*|$tail/],
	'deepseek-v3' => [
		qr/\p{N}{1,3}/,
		qr/[一-龥\x{3040}-ゟ゠-ヿ]+/,
		qr/[!"#\$%&'()*+,\-.\/:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|$tail/,
	],
	'gemma4' => [qr/[^\n]+|\n+/],
);

sub cut {
	my ($text, @rest) = @_;
	return length $text ? ($text) : () unless @rest;
	my $stage = shift @rest;
	my ($from, @pieces) = (0);
	while ($text =~ /$stage/g) {
		my ($start, $end) = ($-[0], $+[0]);
		push @pieces, cut(substr($text, $from, $start - $from), @rest);
		push @pieces, cut(substr($text, $start, $end - $start), @rest);
		$from = $end;
	}
	return (@pieces, cut(substr($text, $from), @rest));
}

# Characters that the expressions tell apart, and some of every script.
sub random_texts {
	my ($n, $seed) = @_;
	srand($seed);
	my @common = (' ', ' ', ' ', "\n", "\n", "\r", "\t", "'", 's', 't', 'LL', "'re", "'D", 'a', 'Z',
		'b', 'é', 'Ä', 'ǅ', 'ʰ', '中', '文', 'ら', 'ガ', '한', '́', 'ः', 'ก', 'ำ', '0', '12', '345',
		'٣', '½', 'Ⅷ', '.', ',', '!', '/', '//', '-', '_', '$', '€', '😀', "\x{200D}", "\x{A0}",
		"\x{3000}", "\x{85}", "\x{2028}", '“', '。', "\x{FEFF}", 'я', 'Я', 'ß', 'ﬁ');
	binmode STDOUT, ':raw';
	for (1 .. $n) {
		my $text = '';
		for (1 .. 1 + int rand 24) {
			if (rand() < 0.9) {
				$text .= $common[rand @common];
			} else {
				my $cp = 1 + int rand(rand() < 0.7 ? 0x3000 : 0x1FFFF);
				# (Unicode 15 knows more letters than an older perl)
				$text .= chr $cp if chr($cp) =~ /\p{Assigned}/ && chr($cp) !~ /\p{Cs}/;
			}
		}
		utf8::encode($text);
		print $text, "\0";
	}
}

if ($ARGV[0] eq '--names') {
	print "$_\n" for sort keys %stages;
	exit;
}
if ($ARGV[0] eq '--texts') {
	random_texts(@ARGV[1, 2]);
	exit;
}
my ($name, $file) = @ARGV;
open my $in, '<:raw', $file or die "$file: $!";
local $/ = "\0";
while (my $text = <$in>) {
	chomp $text;
	utf8::decode($text);
	print join('', map { my $piece = $_; utf8::encode($piece); length($piece) . ' ' }
		cut($text, @{$stages{$name}})), "\n";
}
