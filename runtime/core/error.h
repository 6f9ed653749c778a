#pragma once

#include <pli/error.h>

#include <fmt/format.h>

#include <concepts>
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

/// What a context is to programs that read an Error.
enum class Place { kFile, kNode, kOther };

/// The error with "context: " in front, and the innermost file and node of it noted.
Error in_context(Place place, const std::string& context, const Error& error);

/// The words of a context: a string, or what gives one when it is called.
inline const std::string& words_of(const std::string& context) { return context; }
template <std::invocable Context>
std::string words_of(const Context& context) {
  return context();
}

/// Runs `body`; an Error that leaves it is thrown again with "context: " in front, but for kCancelled, and memory that
/// it does not get becomes kResourceLimit. Used at borders such as a pass. A `context` that can be called is called
/// only then.
template <class Context, class Body>
decltype(auto) with_context(Place place, const Context& context, Body&& body) {
  try {
    return body();
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kCancelled) throw;  // nothing there is its reason
    throw in_context(place, words_of(context), e);
  } catch (const std::bad_alloc&) {
    throw in_context(place, words_of(context), Error(ErrorCode::kResourceLimit, "there is not enough memory"));
  }
}

template <class Body>
decltype(auto) with_context(const std::string& context, Body&& body) {
  return with_context(Place::kOther, context, std::forward<Body>(body));
}

/// The border of a file.
template <class Body>
decltype(auto) in_file(const std::string& path, Body&& body) {
  return with_context(Place::kFile, path, std::forward<Body>(body));
}

/// The border of a node, as ir::describe names it.
template <class Context, class Body>
decltype(auto) in_node(const Context& node, Body&& body) {
  return with_context(Place::kNode, node, std::forward<Body>(body));
}

/// The candidates as words, the likeliest marked: `"a", "b"; did you mean "b"?`. For messages about a wrong name.
std::string suggest(std::string_view wrong, std::span<const std::string> right);

}  // namespace pli
