import type { Message } from '@realm-ai/sdk'
import { UnsupportedFunctionalityError } from 'ai'
import type { CallMessage, CallPart } from './specification.js'

/** Makes a conversation of a prompt. What models here cannot read raises the library's UnsupportedFunctionalityError. */
export function convertPrompt(prompt: readonly CallMessage[]): Message[] {
  return prompt.map(({ role, content }) => {
    if (role === 'tool') throw unsupported('tool messages')
    if (typeof content === 'string') return { role, content }
    const text = join(content, 'text')
    const reasoning = join(content, 'reasoning')
    for (const { type } of content) {
      if (type !== 'text' && !(type === 'reasoning' && role === 'assistant')) {
        throw unsupported(`${type} parts in ${role} messages`)
      }
    }
    return { role, content: text, ...(reasoning !== '' && { reasoning_content: reasoning }) }
  })
}

function join(parts: readonly CallPart[], type: string): string {
  return parts.map((part) => (part.type === type ? (part.text ?? '') : '')).join('')
}

function unsupported(functionality: string): UnsupportedFunctionalityError {
  return new UnsupportedFunctionalityError({ functionality })
}
