#include "tools/support/console/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace pli::tools {

namespace {

/// Bytes of the UTF-8 character that `text` starts with; 0 when it starts with none.
size_t utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t length = first < 0x80                    ? 1
                        : first >= 0xc2 && first < 0xe0 ? 2
                        : first >= 0xe0 && first < 0xf0 ? 3
                        : first >= 0xf0 && first < 0xf5 ? 4
                                                        : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  return length;
}

bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return character.size() == 2 && first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// `text` from its start up to `count` characters, or from its end.
std::string_view first_characters(std::string_view text, size_t count) {
  size_t end = 0;
  for (; end < text.size(); ++end)
    if (!continues_character(text[end]) && count-- == 0) break;
  return text.substr(0, end);
}
std::string_view last_characters(std::string_view text, size_t count) {
  size_t begin = text.size();
  while (begin > 0 && count > 0)
    if (!continues_character(text[--begin])) --count;
  return text.substr(begin);
}

void wrap_line(std::string_view line, size_t width, size_t hanging, std::string& result) {
  const size_t indent = std::min(line.find_first_not_of(' '), line.size());
  hanging = std::min(indent + hanging, width / 2);
  std::string current(line.substr(0, indent));
  size_t used = indent;
  bool first = true;
  for (size_t begin = indent; begin < line.size();) {
    const size_t end = std::min(line.find(' ', begin), line.size());
    const std::string word = shortened(line.substr(begin, end - begin), width - hanging);
    const size_t next = std::min(line.find_first_not_of(' ', end), line.size());
    if (!first && used + width_of(word) > width) {
      result += current.substr(0, current.find_last_not_of(' ') + 1) + '\n';
      current.assign(hanging, ' ');
      used = hanging;
    }
    first = false;
    current += word;
    current.append(next - end, ' ');
    used += width_of(word) + next - end;
    begin = next;
  }
  result += current.substr(0, current.find_last_not_of(' ') + 1);
}

/// Three significant digits and the largest of `units` (each 1000 of the one before) that leaves at least 1.
std::string scaled(double value, std::array<std::string_view, 5> units) {
  size_t unit = 0;
  while (unit + 1 < units.size() && std::fabs(value) >= 999.5) {
    value /= 1000;
    ++unit;
  }
  const double magnitude = std::fabs(value);
  const int decimals = unit == 0 || magnitude >= 99.95 ? 0 : magnitude >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}", value, decimals, units[unit]);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const size_t taken = std::max<size_t>(length, 1);
    if (length == 0 || is_control(text.substr(0, length))) {
      for (const char c : text.substr(0, taken)) result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(taken);
  }
  return result;
}

size_t width_of(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = std::min(text.find('m', i), text.size());
      continue;
    }
    width += !continues_character(text[i]);
  }
  return width;
}

std::string shortened(std::string_view text, size_t width) {
  constexpr std::string_view kLeftOut = "...";
  if (width_of(text) <= width) return std::string(text);
  if (width <= kLeftOut.size()) return std::string(first_characters(text, width));
  const size_t kept = width - kLeftOut.size();
  return fmt::format("{}{}{}", first_characters(text, kept / 2), kLeftOut, last_characters(text, kept - kept / 2));
}

std::string wrapped(std::string_view text, size_t width, size_t hanging) {
  std::string result;
  while (true) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (width_of(line) > width)
      wrap_line(line, width, hanging, result);
    else
      result += line;
    if (end == std::string_view::npos) return result;
    result += '\n';
    text.remove_prefix(end + 1);
  }
}

std::string bytes_text(double bytes) { return scaled(bytes, {"B", "kB", "MB", "GB", "TB"}); }

std::string count_text(double count) {
  std::string text = scaled(count, {"", "k", "M", "G", "T"});
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string time_text(double ms) {
  if (ms >= 999.5) return fmt::format("{:.{}f} s", ms / 1000, ms < 9995 ? 2 : ms < 99950 ? 1 : 0);
  if (ms >= 0.9995) return fmt::format("{:.{}f} ms", ms, ms < 9.995 ? 2 : ms < 99.95 ? 1 : 0);
  return fmt::format("{:.0f} us", ms * 1000);
}

std::string plural(int64_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

}  // namespace pli::tools
