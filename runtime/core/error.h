#pragma once

#include <pli/error.h>

#include <fmt/format.h>

#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace pli {

/// The text with control characters replaced and, beyond 16 KiB, cut: what a model names must not spoil a message.
std::string one_line(std::string text);

/// Throws Error with a formatted message, on one line.
template <class... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, one_line(fmt::format(format, std::forward<Args>(args)...)));
}

/// Runs `body`; an Error that leaves it is thrown again with "context: " in front, and memory that it does not get
/// becomes kResourceLimit. Used at borders such as file, node and pass.
template <class Body>
decltype(auto) with_context(const std::string& context, Body&& body) {
  try {
    return body();
  } catch (const Error& e) {
    throw Error(e.code(), one_line(context + ": " + e.what()));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kResourceLimit, one_line(context + ": there is not enough memory"));
  }
}

/// The candidates as words, the likeliest marked: `"a", "b"; did you mean "b"?`. For messages about a wrong name.
std::string suggest(std::string_view wrong, std::span<const std::string> right);

}  // namespace pli
