import type { BaseMessage } from '@langchain/core/messages'
import { type Message, RealmError } from '@realm-ai/sdk'

const roles: Record<string, Message['role']> = {
  system: 'system',
  developer: 'system',
  human: 'user',
  user: 'user',
  ai: 'assistant',
  assistant: 'assistant',
}

/** Makes a conversation of LangChain's messages. What models here cannot read is an error: `REALM_UNSUPPORTED`. */
export function convertMessages(messages: readonly BaseMessage[]): Message[] {
  return messages.map((message) => {
    const type = message.getType()
    const role = roles[type === 'generic' ? String((message as { role?: unknown }).role) : type]
    if (role === undefined) throw unsupported(`${type} messages`)
    if ((message as { tool_calls?: unknown[] }).tool_calls?.length) throw unsupported('tool calls')
    const { content } = message
    return { role, content: typeof content === 'string' ? content : content.map(textOf).join('') }
  })
}

function textOf(block: { type?: string; text?: unknown }): string {
  if (block.type !== 'text') throw unsupported(`blocks of type ${block.type}`)
  return String(block.text ?? '')
}

function unsupported(what: string): RealmError {
  return new RealmError('REALM_UNSUPPORTED', `langchain: the messages: ${what} are not supported`)
}
