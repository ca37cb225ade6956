/* Night rules: the table. */
#include "night/night_rule.h"

static const struct night_rule *const rules[] = {
	&night_rule_language,
	&night_rule_unit,
	&night_rule_duplicate,
	&night_rule_outlier,
	&night_rule_place,
	&night_rule_role,
	&night_rule_scene,
};

const struct night_table night_rules = { rules, sizeof rules / sizeof rules[0], NIGHT_PROGRESS_ID };
