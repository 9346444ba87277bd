export { ChatRealm, type ChatRealmCallOptions, type ChatRealmFields } from './chat.js'
export type { ChatRealmSettings } from './settings.js'
