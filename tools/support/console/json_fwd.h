#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace pli::tools {

/// JSON whose keys stay in the order in which they were set.
using Json = nlohmann::ordered_json;

/// The document as indented text with a newline. Names from models may hold anything: what is not UTF-8 is replaced,
/// and numbers that JSON does not have (NaN, infinities) are null.
std::string json_text(const Json& document);

/// The same on one line.
std::string json_line(const Json& document);

}  // namespace pli::tools
