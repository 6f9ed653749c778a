#pragma once

#include "tools/support/console/command_line.h"
#include "tools/support/reports/inspection.h"

#include <vector>

namespace pli::tools {

/// The document of --json: {"models": [...]}.
Json inspections_json(const std::vector<Inspection>& inspections);

/// One model in full; every node under --verbose.
void print_inspection(const CommandLine& line, const Inspection& inspection);

/// Several models side by side: a row a figure, a column a model.
void print_side_by_side(const CommandLine& line, const std::vector<Inspection>& inspections);

}  // namespace pli::tools
