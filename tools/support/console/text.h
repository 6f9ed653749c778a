#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pli::tools {

/// `text` with control characters and what is not UTF-8 written as \xNN, so that a name from a model can neither break
/// a line nor speak to the terminal.
std::string printable(std::string_view text);

/// Columns of a report, and of --help.
constexpr size_t kReportWidth = 100;
constexpr size_t kHelpWidth = 80;

/// Columns that a terminal takes for `text`, as far as it shows one for each character; colours take none.
size_t width_of(std::string_view text);

/// `text` with its middle replaced by "..." where it takes more than `width` columns.
std::string shortened(std::string_view text, size_t width);

/// `text` with lines that take more than `width` columns broken between words; what is broken off is indented like its
/// line and `hanging` more. A word that fits no line is shortened.
std::string wrapped(std::string_view text, size_t width, size_t hanging = 4);

/// "240 kB", "97.8 MB": powers of 1000, three digits.
std::string bytes_text(double bytes);

/// "8.21 G", "430 M": powers of 1000, three digits, for operations and parameters.
std::string count_text(double count);

/// "12.3 ms", "1.52 s", "340 us": three digits.
std::string time_text(double ms);

/// "1 node", "3 nodes".
std::string plural(int64_t count, std::string_view word);

}  // namespace pli::tools
