import { Answerer, type AnswererOptions } from '@realm-ai/sdk'
import { NoSuchModelError } from 'ai'
import { RealmLanguageModel } from './model.js'

/** Options of a provider, for all models that it gives. With `sandbox` each model has a sandbox of its own. */
export type RealmProviderSettings = Omit<AnswererOptions, 'model'>

/** What a provider of either version has. */
export interface ProviderBase<Model> extends AsyncDisposable {
  /**
   * The model of a path or a name, such as `hf:ORG/REPO:QUANT`, which is opened, and downloaded if need be, when it is first
   * asked; or of the id that the SDK's storeModel or loadModel returned.
   */
  (model: string | number): Model
  /** A model by its path, its name or the id that storeModel returned; the provider itself, called, is the same. */
  languageModel(model: string | number): Model
  /** Throws NoSuchModelError. */
  embeddingModel(modelId: string): never
  /** Throws NoSuchModelError. */
  imageModel(modelId: string): never
  /** Ends the sandboxes and gives back the models that were opened here. It may be called again. */
  close(): Promise<void>
}

/** Makes a provider of models of a version of the specification. */
export function makeProvider<Version extends 'v3' | 'v4'>(
  specificationVersion: Version,
  settings: RealmProviderSettings,
): ProviderBase<RealmLanguageModel<Version>> & { readonly specificationVersion: Version } {
  const answerers = new Map<string | number, Answerer>()
  const languageModel = (model: string | number) => {
    let answerer = answerers.get(model)
    if (answerer === undefined) {
      answerer = new Answerer({ ...settings, model })
      answerers.set(model, answerer)
    }
    return new RealmLanguageModel(specificationVersion, String(model), answerer)
  }
  const close = async () => {
    const all = [...answerers.values()]
    answerers.clear()
    await Promise.all(all.map((answerer) => answerer.close()))
  }
  return Object.assign((model: string | number) => languageModel(model), {
    specificationVersion,
    languageModel,
    embeddingModel: (modelId: string): never => {
      throw new NoSuchModelError({ modelId, modelType: 'embeddingModel' })
    },
    imageModel: (modelId: string): never => {
      throw new NoSuchModelError({ modelId, modelType: 'imageModel' })
    },
    close,
    [Symbol.asyncDispose]: close,
  })
}
