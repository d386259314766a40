// Builds and updates parts of the page. Everything from the gateway becomes text, never markup.

/** A new element with properties, attributes (`data-…`) and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes('-')) made.setAttribute(key, value)
    else made[key] = value
  }
  made.append(...children)
  return made
}

/** Sets a text only when it changed, so that a screen reader and a selection are left alone. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text
}

/**
 * Makes the children of `parent` follow `items`, in their order, keeping the element of an item that stays: focus and selection survive.
 */
export function follow(parent, items, keyOf, make, update) {
  const kept = new Map([...parent.children].map((child) => [child.dataset.key, child]))
  let next = parent.firstElementChild
  for (const item of items) {
    const key = String(keyOf(item))
    let child = kept.get(key)
    if (child === undefined) {
      child = make(item)
      child.dataset.key = key
    }
    kept.delete(key)
    update(child, item)
    if (child === next) next = next.nextElementSibling
    else parent.insertBefore(child, next)
  }
  for (const gone of kept.values()) gone.remove()
}

/** An id that fits a phone: beginning and end tell runners and requests apart. */
export const short = (id) => (id.length > 24 ? `${id.slice(0, 12)}…${id.slice(-8)}` : id)

/** `0:01:02`. */
export function span(seconds) {
  const two = (number) => String(number).padStart(2, '0')
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(Math.floor(seconds) % 60)}`
}
